/* ctl/commands.h: the commands of `modelwatch`. Each takes its own arguments (argv[0] is its name,
 * as main() gives it) and returns the exit status: 0 done, 1 it could not be done, 2 wrong use or,
 * for check, mistakes. Results go to stdout, everything else to stderr. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

enum { EXIT_USAGE = 2 };

int init_main(int argc, char **argv);
int check_main(int argc, char **argv);
int replay_main(int argc, char **argv);

/* Of read.c: all ask the console. */
int status_main(int argc, char **argv);
int windows_main(int argc, char **argv);
int findings_main(int argc, char **argv);
int alerts_main(int argc, char **argv);
int actions_main(int argc, char **argv);
int deadletter_main(int argc, char **argv);
int marks_main(int argc, char **argv);

/* The name of names (ended by NULL) that is most like this one; NULL: none is. */
const char *nearest_name(const char *name, const char *const names[]);

#endif
