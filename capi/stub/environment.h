/* What the process of the IMC is started with. */
#ifndef GOTNC_STUB_ENVIRONMENT_H
#define GOTNC_STUB_ENVIRONMENT_H

/* Notes where this library is: tnc is looked for beside it. */
void        environment_locate(const char *library);
void        environment_forget(void);

/* The path of the program tnc, which the caller frees; NULL where it is not found. */
char *environment_program(void);

/* The host's variables and those of the process; NULL where memory is short. A host
 * that runs with rights of its file (AT_SECURE) passes on none of its own. */
char **environment_make(void);
void   environment_free(char **environment);

#endif
