package models

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/portroom/portroom/test/need"
	"github.com/portroom/portroom/test/vm"
)

func TestMain(m *testing.M) {
	vm.Init()
	vm.Exit(m.Run())
}

// outcomes are what the tests inside another kernel say.
var outcomes = regexp.MustCompile(`kernel: first failure .*|Linux \d.*`)

// Before 6.14 connect() sees the age of TIME_WAIT in whole seconds. The machines run
// this very test binary.
func TestTheTakeoverInsideOldKernels(t *testing.T) {
	dir := os.Getenv("PORTROOM_KERNELS")
	need.That(t, dir != "", "PORTROOM_KERNELS", "run make kernels, then set it to the directory .cache/kernels")
	_, err := exec.LookPath("qemu-system-x86_64")
	need.That(t, err == nil, "qemu-system-x86_64", "apt-get install qemu-system-x86")
	binary := filepath.Join(t.TempDir(), "models.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test binary: %v\n%s", err, out)
	}
	for _, kernel := range []string{"5.10", "6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(dir, kernel, "vmlinuz")
			_, err := os.Stat(image)
			need.That(t, err == nil, image, "run make kernels")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			out, err := vm.Run(ctx, vm.Options{Kernel: image, Binary: binary, Memory: 512,
				Args: []string{"-test.v", "-test.run=^" + insideKernels + "$"}})
			if err != nil || !outcomes.MatchString(out) {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, line := range outcomes.FindAllString(out, -1) {
				t.Log(line)
			}
		})
	}
}
