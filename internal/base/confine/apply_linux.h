/* What the constructor of apply_linux.c has done. */
extern int gotnc_confined;     /* 1: there was a plan */
extern int gotnc_confine_step; /* the kind of the step that failed */
extern int gotnc_confine_errno;
