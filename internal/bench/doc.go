// Package bench compares the speed of imc-attestation.so with strongSwan's
// module and with openssl, through a host in C. Its benchmarks run with
// `make bench`; no test depends on a time.
package bench
