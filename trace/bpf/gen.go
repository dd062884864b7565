// Package bpf holds the BPF program of package trace and what is generated from its
// source. Nothing needs a compiler at build or run time: the objects are committed,
// and `make generate` makes them again.
package bpf

//go:generate go tool bpf2go -tags linux -cc clang-14 -strip llvm-strip-14 -target bpfel,bpfeb -type event Trace trace.bpf.c -- -O2 -mcpu=v3 -Wall -Werror -Wno-address-of-packed-member
