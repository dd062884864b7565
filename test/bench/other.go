//go:build !linux

package main

import (
	"context"
	"fmt"
	"runtime"
)

var rowNames = []string{}

func bareChild() {}

func hiveChild() {}

func connectChild() {}

func measure(context.Context, options) ([]result, error) {
	return nil, fmt.Errorf("the bench measures Linux only, this is %s", runtime.GOOS)
}
