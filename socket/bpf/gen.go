// Package bpf holds the BPF iterators and what is generated from their source.
// Nothing needs a compiler at build or run time: the objects are committed, and
// `make generate` makes them again.
package bpf

//go:generate go tool bpf2go -tags linux -cc clang-14 -strip llvm-strip-14 -target bpfel,bpfeb Portroom portroom.bpf.c -- -O2 -Wall -Werror -Wno-address-of-packed-member
