// Package confine takes from a process what it does not need: capabilities, its
// user, files, sockets, system calls, memory. What is to be taken is put into a
// Plan by the process that starts it. A constructor in C carries the plan out in
// the started process before its Go runtime and its first thread are there, so
// that every thread has it and no library runs before.
//
// The plan is a file in memory whose descriptor the variable Variable names. A
// program that links this package and is started so is confined before main.
package confine
