package law

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/test/need"
	"github.com/portroom/portroom/test/vm"
)

func TestMain(m *testing.M) {
	asker()
	_ = flag.Set("rapid.checks", scenariosHere) // unless the command line says otherwise
	vm.Init()
	vm.Exit(m.Run())
}

// scenariosHere is how many scenarios this kernel gets.
const scenariosHere = "250"

// oldKernels are those that kernels.sh fetches, and how many scenarios each gets:
// without KVM one takes some two seconds.
var oldKernels = []string{"5.10", "6.1", "6.12"}

const oldScenarios = "60"

var outcome = regexp.MustCompile(`\d+ scenarios: .*`)

// The same law inside other kernels. The machines run this very test binary.
func TestHeadroomInsideOldKernels(t *testing.T) {
	dir := os.Getenv("PORTROOM_KERNELS")
	need.That(t, dir != "", "PORTROOM_KERNELS", "run make kernels, then set it to the directory .cache/kernels")
	_, err := exec.LookPath("qemu-system-x86_64")
	need.That(t, err == nil, "qemu-system-x86_64", "apt-get install qemu-system-x86")
	binary := filepath.Join(t.TempDir(), "law.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test binary: %v\n%s", err, out)
	}
	for _, kernel := range oldKernels {
		t.Run(kernel, func(t *testing.T) {
			image := filepath.Join(dir, kernel, "vmlinuz")
			_, err := os.Stat(image)
			need.That(t, err == nil, image, "run make kernels")
			modules, err := filepath.Glob(filepath.Join(dir, kernel, "*.ko"))
			need.That(t, err == nil && len(modules) > 0, "the modules beside "+image, "run make kernels")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			begun := time.Now()
			out, err := vm.Run(ctx, vm.Options{
				Kernel: image, Modules: modules, Binary: binary, Memory: 1024,
				Args: []string{"-test.run=^Test(HeadroomIsWhatTheKernelGrants|AnOrphanIsHeldOrTheBoundsSaySo)$", "-rapid.checks=" + oldScenarios, "-rapid.nofailfile"},
			})
			line := outcome.FindString(out)
			if err != nil || line == "" {
				t.Fatalf("%v\n%s", err, lastLines(out, 60))
			}
			t.Logf("%s in %.0f s", line, time.Since(begun).Seconds())
		})
	}
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
