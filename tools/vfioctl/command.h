/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands. Each parses its own options; argv[0] is its name, and it
 * returns the exit status. --help is dealt with before.
 */
#ifndef COMMAND_H
#define COMMAND_H

struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv);
	const char *options;		/* for --help, NULL: none */
};

extern const struct command list_command, show_command, why_command,
	check_command, who_command, memlock_command, bind_command,
	unbind_command, restore_command, config_command, open_command,
	reset_command, vf_command, token_command, persist_command,
	forget_command, top_command, trace_command, test_command;

#endif /* COMMAND_H */
