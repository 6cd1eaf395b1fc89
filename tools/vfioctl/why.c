// SPDX-License-Identifier: GPL-2.0-only
/* "why" and "check": the same chain, of a device or of the host */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "checks.h"
#include "command.h"
#include "memlock.h"
#include "output.h"
#include "say.h"

static json_t *link_json(const struct link *link)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "link", link->name, "state",
			 link_state_name(link->state), "text", link->text,
			 "remedies", output_strings(&link->remedies));
}

static json_t *chain_json(const struct chain *chain)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < chain->count; i++)
		json_array_append_new(array, link_json(&chain->links[i]));
	return array;
}

static void print_link(const struct link *link)
{
	size_t i;

	printf("%-8s %-11s %s\n", link_state_name(link->state), link->name,
	       link->text);
	if (link->state == LINK_OK)
		return;
	for (i = 0; i < link->remedies.count; i++)
		printf("%20s  %s\n", "", link->remedies.list[i]);
}

static void print_chain(const struct chain *chain)
{
	size_t i;

	for (i = 0; i < chain->count; i++)
		print_link(&chain->links[i]);
}

/* One sentence, and the commands that mend it */
static void print_broken(const char *who, const struct link *broken)
{
	size_t i;

	printf("%s cannot be used: %s.\n", who, broken->text);
	if (broken->remedies.count)
		printf("To mend it:\n");
	for (i = 0; i < broken->remedies.count; i++)
		printf("    %s\n", broken->remedies.list[i]);
}

/* What could not be seen is no success to be relied on, and is said. */
static void print_unseen(const struct chain *chain)
{
	size_t i;

	for (i = 0; i < chain->count; i++)
		if (chain->links[i].state == LINK_UNKNOWN)
			printf("Not known: %s.\n", chain->links[i].text);
}

struct why_options {
	bool all, json;
	struct asked asked;
};

static int parse(int argc, char **argv, struct why_options *o)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "as", required_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'J' },
		{ "ram", required_argument, NULL, 'r' },
		{ 0 }
	};
	const char *user = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "aJr:u:", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			o->all = true;
			break;
		case 'u':
			user = optarg;
			break;
		case 'J':
			o->json = true;
			break;
		case 'r':
			if (!size_parse(optarg, &o->asked.ram))
				return say_usage(argv[0],
						 "'%s' is not a size, such as 8G",
						 optarg);
			break;
		default:
			return say_usage(argv[0], NULL);
		}
	}
	o->asked.user = user_find(user);
	return o->asked.user ? 0 : EXIT_NO;
}

static int run_why(int argc, char **argv)
{
	struct why_options o = { 0 };
	const struct link *broken;
	struct chain chain;
	struct device *dev;
	int status;

	status = parse(argc, argv, &o);
	if (status)
		return status;
	if (argc - optind != 1)
		return say_usage("why", "name one device");
	dev = device_find(argv[optind]);
	if (!dev)
		return EXIT_NO;

	chain = check_device(dev, &o.asked);
	broken = chain_broken(&chain);
	if (o.json) {
		output_json(json_pack("{s:s, s:s, s:b, s:o, s:o}",
				      "device", dev->name, "user",
				      o.asked.user->name, "usable", !broken,
				      "broken", broken ? link_json(broken) :
				      json_null(), "chain", chain_json(&chain)));
		return broken ? EXIT_NO : EXIT_SUCCESS;
	}
	if (o.all)
		print_chain(&chain);
	if (broken) {
		print_broken(dev->name, broken);
		return EXIT_NO;
	}
	if (!o.all)
		print_unseen(&chain);
	printf("%s can be used by %s. Next:\n    vfioctl config %s --for qemu\n",
	       dev->name, o.asked.user->name, device_short(dev));
	return EXIT_SUCCESS;
}

static int run_check(int argc, char **argv)
{
	struct why_options o = { 0 };
	const struct link *broken;
	struct chain chain;
	int status;

	status = parse(argc, argv, &o);
	if (status)
		return status;
	if (optind < argc)
		return say_usage("check", "unexpected argument '%s'",
				 argv[optind]);
	chain = check_host(&o.asked);
	broken = chain_broken(&chain);
	if (o.json) {
		output_json(json_pack("{s:s, s:b, s:o}", "user",
				      o.asked.user->name, "usable", !broken,
				      "chain", chain_json(&chain)));
		return broken ? EXIT_NO : EXIT_SUCCESS;
	}
	print_chain(&chain);
	if (!broken)
		printf("\nThis host can give devices to user space. Next:\n    vfioctl list\n");
	return broken ? EXIT_NO : EXIT_SUCCESS;
}

const struct command why_command = {
	.name = "why",
	.arguments = "[options] DEVICE",
	.summary = "Say why a device cannot be used, and how to mend it",
	.run = run_why,
	.options =
	" -a, --all             show the whole chain of what must hold\n"
	" -u, --as USER         for that user (default: the caller)\n"
	" -r, --ram SIZE        for a virtual machine with that much memory\n"
	" -J, --json            JSON\n",
};

const struct command check_command = {
	.name = "check",
	.arguments = "[options]",
	.summary = "Check whether this host can give devices to user space",
	.run = run_check,
	.options =
	" -u, --as USER         for that user (default: the caller)\n"
	" -r, --ram SIZE        for a virtual machine with that much memory\n"
	" -J, --json            JSON\n",
};
