package netns

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Identifiers of the kinds that engines make up.
const (
	idA     = "4f2a9c01d3e7b6858f0e1d2c3b4a59687786958a4b3c2d1e0f112233445566ff"
	idB     = "b0c1d2e3f4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff"
	uid     = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
	uidUnit = "1b4e28ba_2fa1_11d2_883f_0016d3cca427" // as systemd has it in unit names
	hash    = "8f6a44fc62e8cb075753c843896568ca"     // the uid that a kubelet gives a static pod
)

func TestLabel(t *testing.T) {
	const (
		container = "container 4f2a9c01d3e7"
		pod       = "pod " + uid
		user      = "/user.slice/user-1000.slice/user@1000.service/"
	)
	for name, c := range map[string]struct{ cgroup, want string }{
		"docker, systemd driver":           {"/system.slice/docker-" + idA + ".scope", container},
		"docker, cgroupfs driver":          {"/docker/" + idA, container},
		"docker, a unit of its own inside": {"/system.slice/docker-" + idA + ".scope/system.slice/nginx.service", container},
		"docker, rootless":                 {user + "user.slice/docker-" + idA + ".scope", container},
		"containerd":                       {"/system.slice/containerd-" + idA + ".scope", container},
		"containerd, namespace of ctr":     {"/default/" + idA, container},
		"cri-containerd":                   {"/system.slice/cri-containerd-" + idA + ".scope", container},
		"nerdctl":                          {"/system.slice/nerdctl-" + idA + ".scope", container},
		"buildkit":                         {"/system.slice/buildkit-" + idA + ".scope", container},
		"crio":                             {"/system.slice/crio-" + idA + ".scope", container},
		"crio, group made by crun":         {"/system.slice/crio-" + idA + ".scope/container", container},
		"podman":                           {"/machine.slice/libpod-" + idA + ".scope", container},
		"podman, group made by crun":       {"/machine.slice/libpod-" + idA + ".scope/container", container},
		"podman, rootless":                 {user + "user.slice/libpod-" + idA + ".scope/container", container},
		"podman, cgroupfs driver":          {"/libpod_parent/libpod-" + idA, container},
		"podman, in a pod of podman":       {"/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope", container},
		"ECS":                              {"/ecs/0123456789abcdef0123456789abcdef/" + idA, container},

		"pod, systemd driver, guaranteed": {"/kubepods.slice/kubepods-pod" + uidUnit + ".slice/cri-containerd-" + idA + ".scope", pod + " " + container},
		"pod, systemd driver, burstable":  {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidUnit + ".slice/crio-" + idA + ".scope", pod + " " + container},
		"pod, systemd driver, v1":         {"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uidUnit + ".slice/docker-" + idA + ".scope", pod + " " + container},
		"pod, cgroupfs driver":            {"/kubepods/burstable/pod" + uid + "/" + idA, pod + " " + container},
		"pod, cgroupfs, guaranteed":       {"/kubepods/pod" + uid + "/" + idA, pod + " " + container},
		"pod, kubelet in a slice":         {"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + uidUnit + ".slice/cri-containerd-" + idA + ".scope", pod + " " + container},
		"a static pod, systemd driver":    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + hash + ".slice/cri-containerd-" + idA + ".scope", "pod " + hash + " " + container},
		"a static pod, cgroupfs driver":   {"/kubepods/burstable/pod" + hash + "/" + idA, "pod " + hash + " " + container},
		"pod, colons as in runc's option": {"/system.slice/containerd.service/kubepods-burstable-pod" + uidUnit + ".slice:cri-containerd:" + idA, pod + " " + container},
		"pod without its container":       {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidUnit + ".slice", pod},
		"pod on a node in a container":    {"/system.slice/docker-" + idB + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + uidUnit + ".slice/cri-containerd-" + idA + ".scope", pod + " " + container},

		"lxc":                          {"/lxc.payload.web1", "lxc web1"},
		"lxc, its init":                {"/lxc.payload.web1/init.scope", "lxc web1"},
		"lxc, a unit inside":           {"/lxc.payload.web-1/system.slice/nginx.service", "lxc web-1"},
		"docker in lxc":                {"/lxc.payload.web1/docker/" + idA, container},
		"nspawn by machinectl":         {"/machine.slice/systemd-nspawn@web1.service/payload", "machine web1"},
		"nspawn, a unit inside":        {"/machine.slice/systemd-nspawn@web1.service/payload/system.slice/nginx.service", "machine web1"},
		"nspawn by hand":               {"/machine.slice/machine-web1.scope/payload/init.scope", "machine web1"},
		"nspawn, a name with a dot":    {"/machine.slice/machine-web1.example.org.scope/payload", "machine web1.example.org"},
		"nspawn, a name with a hyphen": {`/machine.slice/machine-web\x2d1.scope/payload`, "machine web-1"},
		"a machine in a slice of its":  {"/machine.slice/machine-guests.slice/machine-web1.scope", "machine web1"},

		"a service":                     {"/system.slice/nginx.service", "nginx.service"},
		"a service from a template":     {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"},
		"a service with groups inside":  {"/system.slice/redis.service/workers/1", "redis.service"},
		"the init":                      {"/init.scope", "init.scope"},
		"a session":                     {"/user.slice/user-1000.slice/session-2.scope", "session-2.scope"},
		"an application of a user":      {user + `app.slice/app-gnome-org.mozilla.firefox-2847.scope`, "app-gnome-org.mozilla.firefox-2847.scope"},
		"a service of a user":           {user + "app.slice/syncthing.service", "syncthing.service"},
		"a service of a user, no slice": {user + "syncthing.service", "syncthing.service"}, // systemd before 247
		"a scope in a service":          {"/system.slice/agent.service/job-1.scope", "job-1.scope"},
		"units at three levels":         {"/a.service/b.scope/c.service", "c.service"},

		"the root":                  {"/", ""},
		"nothing":                   {"", ""},
		"a slice alone":             {"/system.slice", ""},
		"a group by hand":           {"/batch/job1", ""},
		"too short an id":           {"/docker/" + idA[1:], ""},
		"too long an id":            {"/docker/" + idA + "0", ""},
		"an id in capitals":         {"/docker/" + strings.ToUpper(idA), ""},
		"a name that ends alike":    {"/system.slice/nginx.services", ""},
		"a uid that is not a pod's": {"/batch/" + uid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Label(c.cgroup); got != c.want {
				t.Errorf("Label(%q) = %q, want %q", c.cgroup, got, c.want)
			}
		})
	}
}

func TestParseCgroup(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"unified only":                     {"0::/system.slice/nginx.service\n", "/system.slice/nginx.service"},
		"unified only, the root":           {"0::/\n", ""},
		"no line end":                      {"0::/init.scope", "/init.scope"},
		"hybrid, the unified is preferred": {"12:pids:/docker/" + idA + "\n1:name=systemd:/docker/" + idA + "\n0::/init.scope\n", "/init.scope"},
		"hybrid, the unified comes first":  {"0::/init.scope\n12:pids:/docker/" + idA + "\n", "/init.scope"},
		"hybrid, the unified is the root":  {"9:name=systemd:/user.slice\n8:pids:/\n4:memory:/docker/" + idA + "\n3:cpu,cpuacct:/docker\n0::/\n", "/docker/" + idA},
		"v1 only, the longest":             {"3:cpu:/a\n2:memory:/a/b\n1:name=systemd:/\n", "/a/b"},
		"v1 only, all at the root":         {"2:memory:/\n1:name=systemd:/\n", ""},
		"a path with colons":               {"0::/kubepods.slice:cri-containerd:" + idA + "\n", "/kubepods.slice:cri-containerd:" + idA},
		"a path with a blank at its end":   {"0::/a \n", "/a "},
		"outside of the cgroup namespace":  {"0::/../nginx.service\n", "/../nginx.service"},
		"empty":                            {"", ""},
		"empty lines":                      {"\n\n0::/a\n\n", "/a"},
		"lines with too few fields":        {"0:/a\nnonsense\n:\n2:memory:/b\n", "/b"},
		"a hierarchy number that has a 0":  {"10:cpu:/ab\n20:pids:/abc\n", "/abc"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parseCgroup(c.in)); diff != "" {
				t.Errorf("parseCgroup(%q) (-want +got):\n%s", c.in, diff)
			}
		})
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add("0::/system.slice/nginx.service\n")
	f.Add("4:memory:/docker/" + idA + "\n1:name=systemd:/\n0::/\n")
	f.Add("0::\n:::\n0:\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := parseCgroup(text)
		var third []string
		for _, line := range strings.Split(text, "\n") {
			if f := strings.SplitN(line, ":", 3); len(f) == 3 {
				third = append(third, f[2])
			}
		}
		if got != "" && !slices.Contains(third, got) {
			t.Errorf("parseCgroup(%q) = %q, which is no third field", text, got)
		}
		if got == "/" {
			t.Errorf("parseCgroup(%q) is the root, which says nothing", text)
		}
	})
}

func FuzzLabel(f *testing.F) {
	f.Add("/kubepods/burstable/pod" + uid + "/" + idA)
	f.Add("/kubepods.slice/kubepods-pod" + uidUnit + ".slice/crio-" + idA + ".scope")
	f.Add("/lxc.payload.web1/init.scope")
	f.Add("/machine.slice/systemd-nspawn@web1.service/payload")
	f.Add("/user.slice/user-1000.slice/session-2.scope")
	f.Fuzz(func(t *testing.T, path string) {
		got := Label(path)
		if strings.Contains(got, "\n") && !strings.Contains(path, "\n") {
			t.Errorf("Label(%q) = %q has a line end", path, got)
		}
		if strings.Contains(got, "/") {
			t.Errorf("Label(%q) = %q is a path", path, got)
		}
		// What a label names stands in the path, apart from the kind in front
		// and the underscores of a pod.
		for _, kind := range []string{"lxc ", "machine "} {
			if name, ok := strings.CutPrefix(got, kind); ok && !strings.Contains(path, name) {
				t.Errorf("Label(%q) = %q", path, got)
			}
		}
	})
}
