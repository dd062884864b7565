// Hello says where it runs and what it was given, and ends with the status that
// the environment names.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
)

func main() {
	var b [8]byte
	_, _ = rand.Read(b[:])
	in, _ := io.ReadAll(os.Stdin)
	fmt.Printf("%s %q %q %v\n", runtime.GOOS, os.Args[1:], in, b != [8]byte{})
	fmt.Fprintln(os.Stderr, "to stderr")
	status, _ := strconv.Atoi(os.Getenv("HELLO_STATUS"))
	os.Exit(status)
}
