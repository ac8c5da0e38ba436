// Package ifimc holds the numbers and names of TCG TNC IF-IMC 1.3, the
// interface between a TNC client and its Integrity Measurement Collectors, for
// both of its ends: package tnccs is the client, package imc a collector. Each
// declares exported types of its own whose constants and String methods come
// from here.
//
// Sections of the specification are those that strongSwan's sources cite: 3.8
// for the functions of an IMC, 4.2.8 for the bind function. Constants are cited
// by the name that the C binding gives them.
package ifimc
