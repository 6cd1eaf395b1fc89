// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfioctl - devices in user space: list them, bind them, find out why one cannot
 * be used, and who has it.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "device.h"
#include "say.h"

/* In the order in which they are needed */
static const struct command *const commands[] = {
	&list_command, &show_command, &why_command, &check_command,
	&who_command, &bind_command, &unbind_command, &restore_command,
	&memlock_command, &config_command, &open_command, &reset_command,
	&vf_command, &token_command, &persist_command, &forget_command,
	&top_command, &trace_command, &test_command,
};

#define NUM_COMMANDS	(sizeof(commands) / sizeof(*commands))

static void usage(void)
{
	size_t i;

	printf("Usage:\n"
	       " vfioctl [list] [options]\n"
	       " vfioctl COMMAND [options] [arguments]\n\n"
	       "Devices in user space: list and bind them, find out why one cannot be used,\n"
	       "and who has it.\n\nCommands:\n");
	for (i = 0; i < NUM_COMMANDS; i++)
		printf(" %-9s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nOptions:\n"
	       " -h, --help     display this help; after a command, that command's\n"
	       " -V, --version  display the version\n\n"
	       "A device is named by its address (0000:03:00.0 or 03:00.0), by vfio3, by a\n"
	       "network interface, or by a file in /dev or /sys that it is behind.\n\n"
	       "Exit status: 0 success or yes; 1 failure, refusal or no; 2 wrong usage.\n"
	       "For more details see vfioctl(8).\n");
}

static void command_usage(const struct command *command)
{
	printf("Usage:\n vfioctl %s %s\n\n%s.\n", command->name,
	       command->arguments, command->summary);
	if (command->options)
		printf("\nOptions:\n%s", command->options);
	printf(" -h, --help            display this help\n");
}

static const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < NUM_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* What follows "--" is not ours. */
static int asks_for_help(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return 1;
	return 0;
}

static int run(int argc, char **argv)
{
	const struct command *command = &list_command;

	if (argc > 1) {
		if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
		    !strcmp(argv[1], "help")) {
			usage();
			return EXIT_SUCCESS;
		}
		if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
			printf("vfioctl from iommufd-vfio %s\n", VERSION);
			return EXIT_SUCCESS;
		}
		if (*argv[1] != '-') {
			command = command_find(argv[1]);
			if (!command)
				return say_usage(NULL, "there is no command '%s'",
						 argv[1]);
			argc--;
			argv++;
		}
	}
	if (asks_for_help(argc, argv)) {
		command_usage(command);
		return EXIT_SUCCESS;
	}
	return command->run(argc, argv);
}

int main(int argc, char **argv)
{
	void *start = mem_mark();
	int status;

	setlocale(LC_ALL, "");
	status = run(argc, argv);
	devices_release();
	mem_release(start);
	/* A full disk is a failure, too. */
	if (fflush(stdout) || ferror(stdout)) {
		perror("vfioctl: standard output");
		status = EXIT_NO;
	}
	return status;
}
