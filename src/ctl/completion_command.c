/* SPDX-License-Identifier: Apache-2.0 */
/* completion_command.c - what bash and zsh need to complete gantryctl's words.
 *
 * The scripts hold the table of commands; what changes from day to day (jobs, queues, locks) they ask gantryctl for,
 * by "completion values KIND".  A project or a job's id is a stranger's text: no script lets the shell
 * expand one (bash's compgen -W would). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ctl/completion_values.h"
#include "ctl/ctl.h"

/* -- what both shells share: cases over the table ------------------------------------------------ */

static void print_kind(enum ctl_word word, const char *choices)
{
	printf("kind=%s", ctl_word_name(word));
	if (choices == NULL)
		printf(" ;;\n");
	else
		printf(" choices='%s' ;;\n", choices);
}

/* Words that take another one behind them. */
static void print_arguments(void)
{
	printf("\tcase $command$word in\n\t-c|--config) kind=FILE ;;\n");
	for (const struct command *command = commands; command->name != NULL; command++) {
		for (const struct command_option *option = command->options; option->name != NULL; option++) {
			if (option->word == WORD_NONE)
				continue;
			printf("\t%s--%s", command->name, option->name);
			if (option->is_short)
				printf("|%s-%c", command->name, option->letter);
			printf(") ");
			print_kind(option->word, NULL);
		}
	}
	printf("\tesac\n");
}

static void print_operands(void)
{
	printf("\tcase $command$operand in\n");
	for (const struct command *command = commands; command->name != NULL; command++) {
		for (int i = 0; i < COMMAND_OPERANDS_MAX && command->complete[i].word != WORD_NONE; i++) {
			printf("\t%s%d) ", command->name, i + 1);
			print_kind(command->complete[i].word, command->complete[i].choices);
		}
	}
	printf("\tesac\n");
}

static void print_options(void)
{
	printf("\tcase $command in\n\t'') options='--config --json --help --version' ;;\n");
	for (const struct command *command = commands; command->name != NULL; command++) {
		printf("\t%s) options='", command->name);
		for (const struct command_option *option = command->options; option->name != NULL; option++)
			printf("--%s ", option->name);
		printf("%s' ;;\n", command->json != COMMAND_JSON_NONE ? "--json" : "");
	}
	printf("\tesac\n");
}

static void print_tables(void)
{
	printf("_gantryctl_argument() {\n\tkind=''\n");
	print_arguments();
	printf("}\n\n_gantryctl_operand() {\n\tkind=''\n");
	print_operands();
	printf("}\n\n_gantryctl_options() {\n");
	print_options();
	printf("}\n\n");
}

/* -- bash --------------------------------------------------------------------------------------- */

/* Bash splits words at colons, and jobs' ids have some: so the line is split here, at blanks, and what Bash
 * keeps of the word is cut off what is offered. */
static const char bash_body[] =
	"_gantryctl() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} current='' command='' word='' kind='' choices='' options='' value='' quoted=''\n"
	"\tlocal -a given=() config=() found=()\n"
	"\tlocal -i operand=1 i\n"
	"\tread -ra given <<<\"$line\"\n"
	"\tif [[ $line != *[[:space:]] ]]; then\n"
	"\t\tcurrent=${given[-1]}\n"
	"\t\tunset 'given[-1]'\n"
	"\tfi\n"
	"\tfor ((i = 1; i < ${#given[@]}; i++)); do\n"
	"\t\tword=${given[i]}\n"
	"\t\tif [[ $kind == FILE && -z $command ]]; then\n"
	"\t\t\tconfig=(-c \"${word/#\\~/$HOME}\") kind=''\n"
	"\t\telif [[ -n $kind ]]; then\n"
	"\t\t\tkind=''\n"
	"\t\telif [[ $word == -?* ]]; then\n"
	"\t\t\t_gantryctl_argument\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\tcommand=$word\n"
	"\t\telse\n"
	"\t\t\toperand+=1\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tCOMPREPLY=()\n"
	"\tif [[ -z $kind ]]; then\n"
	"\t\tif [[ $current == -* ]]; then\n"
	"\t\t\t_gantryctl_options\n"
	"\t\t\tkind=WORD choices=$options\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\tkind=WORD choices=$_gantryctl_commands\n"
	"\t\telse\n"
	"\t\t\t_gantryctl_operand\n"
	"\t\tfi\n"
	"\tfi\n"
	"\tcase $kind in\n"
	"\t''|TEXT|N|TIME|NAME=VALUE) return ;;\n"
	"\tFILE)\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\t\treturn ;;\n"
	"\tWORD) read -ra found <<<\"${choices//|/ }\" ;;\n"
	"\t*) mapfile -t found < <(\"${given[0]/#\\~/$HOME}\" \"${config[@]}\" completion values \"$kind\" 2>/dev/null) ;;\n"
	"\tesac\n"
	"\tfor value in \"${found[@]}\"; do\n"
	"\t\t[[ -n $value && $value == \"$current\"* ]] || continue\n"
	"\t\tvalue=${value#\"${current%\"${current##*[:=]}\"}\"}\n"
	"\t\tprintf -v quoted %q \"$value\"\n"
	"\t\tCOMPREPLY+=(\"$quoted\")\n"
	"\tdone\n"
	"}\n"
	"complete -F _gantryctl gantryctl\n";

static void print_bash(void)
{
	printf("# bash completion for gantryctl(8), made by \"gantryctl completion bash\"\n\n_gantryctl_commands='");
	for (const struct command *command = commands; command->name != NULL; command++)
		printf("%s%s", command != commands ? " " : "", command->name);
	printf("'\n\n");
	print_tables();
	fputs(bash_body, stdout);
}

/* -- zsh ---------------------------------------------------------------------------------------- */

static const char zsh_body[] =
	"_gantryctl() {\n"
	"\tlocal command='' word='' kind='' choices='' options=''\n"
	"\tlocal -a config found\n"
	"\tlocal -i operand=1 i\n"
	"\tfor ((i = 2; i < CURRENT; i++)); do\n"
	"\t\tword=${(Q)words[i]}\n"
	"\t\tif [[ $kind == FILE && -z $command ]]; then\n"
	"\t\t\tconfig=(-c \"${word/#\\~/$HOME}\") kind=''\n"
	"\t\telif [[ -n $kind ]]; then\n"
	"\t\t\tkind=''\n"
	"\t\telif [[ $word == -?* ]]; then\n"
	"\t\t\t_gantryctl_argument\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\tcommand=$word\n"
	"\t\telse\n"
	"\t\t\toperand+=1\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ -z $kind ]]; then\n"
	"\t\tif [[ $PREFIX == -* ]]; then\n"
	"\t\t\t_gantryctl_options\n"
	"\t\t\tkind=WORD choices=$options\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\t_describe command _gantryctl_commands\n"
	"\t\t\treturn\n"
	"\t\telse\n"
	"\t\t\t_gantryctl_operand\n"
	"\t\tfi\n"
	"\tfi\n"
	"\tcase $kind in\n"
	"\t''|TEXT|N|TIME|NAME=VALUE) return 1 ;;\n"
	"\tFILE) _files; return ;;\n"
	"\tWORD) found=(${=choices//|/ }) ;;\n"
	"\t*) found=(${(f)\"$(${(Q)words[1]/#\\~/$HOME} $config completion values $kind 2>/dev/null)\"}) ;;\n"
	"\tesac\n"
	"\tcompadd -a found\n"
	"}\n\n"
	"if [[ ${funcstack[1]} == _gantryctl ]]; then\n"
	"\t_gantryctl \"$@\"\n"
	"else\n"
	"\tcompdef _gantryctl gantryctl\n"
	"fi\n";

/* In single quotes, with the colons that _describe would take for its own escaped. */
static void print_description(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			printf("'\\''");
		else if (*text == ':')
			printf("\\:");
		else
			putchar(*text);
	}
}

static void print_zsh(void)
{
	printf("#compdef gantryctl\n# zsh completion for gantryctl(8), made by \"gantryctl completion zsh\"\n\n"
	       "typeset -ga _gantryctl_commands=(\n");
	for (const struct command *command = commands; command->name != NULL; command++) {
		printf("\t'%s:", command->name);
		print_description(command->text);
		printf("'\n");
	}
	printf(")\n\n");
	print_tables();
	fputs(zsh_body, stdout);
}

int run_completion(struct ctl *ctl, int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "values") == 0)
		return completion_values(ctl, argv[2]);
	if (argc != 2)
		return command_usage("completion");
	if (strcmp(argv[1], "bash") == 0)
		print_bash();
	else if (strcmp(argv[1], "zsh") == 0)
		print_zsh();
	else
		return command_usage("completion");
	return CONTROL_DONE;
}
