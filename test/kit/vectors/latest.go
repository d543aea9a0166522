package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
)

const (
	latestPath  = "x.y/z"
	ownGoMod    = "module x.y/z\n\ngo 1.20\n"
	bareGoMod   = "module x.y/z\n"
	forkGoMod   = "module fork.y/z\n"
	pseudoOlder = "v0.0.0-20200101120000-ffffffffffff"
	pseudoNewer = "v0.0.0-20210101120000-000000000000"
	pseudoHigh  = "v1.0.1-0.20190101120000-aaaaaaaaaaaa"
	pseudoOld2  = "v2.0.1-0.20220101120000-aaaaaaaaaaaa+incompatible"
)

// latestScenario is a module as a proxy would have it. The go.mod under "*" is that of all other versions.
type latestScenario struct {
	versions string
	goMods   map[string]string
}

func latestScenarios() []latestScenario {
	own := map[string]string{"*": ownGoMod}
	bare := map[string]string{"*": bareGoMod}
	with := func(pairs ...string) map[string]string {
		out := map[string]string{"*": ownGoMod}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	retract := func(what string) string { return ownGoMod + "retract " + what + "\n" }
	all := func(what string) map[string]string { return map[string]string{"*": retract(what)} }
	return []latestScenario{
		{"", own}, {"v1.0.0", own}, {"v1.9.0 v1.10.0 v1.2.0", own}, {"v1.0.0 v1.1.0-rc.1", own}, {"v1.0.0-rc.2 v1.0.0-rc.10", own},
		{"v0.1.0-alpha " + pseudoNewer, own}, {"v1.0.0 " + pseudoNewer, own}, {pseudoOlder + " " + pseudoNewer, own}, {pseudoNewer + " " + pseudoHigh, own}, {pseudoHigh, own},
		{"v2.0.0+incompatible", own}, {"v2.0.0+incompatible", bare}, {"v2.0.0+incompatible v3.0.0-rc.1+incompatible", bare},
		{"v1.0.0 v2.0.0+incompatible", own}, {"v1.0.0 v2.0.0+incompatible", bare}, {"v1.0.0 v2.0.0+incompatible", map[string]string{"*": forkGoMod}},
		{"v1.0.0-rc.1 v2.0.0+incompatible", own}, {"v1.0.0-rc.1 v2.0.0+incompatible", bare},
		{"v1.0.0 v1.1.0 v2.0.0+incompatible", with("v1.1.0", bareGoMod)}, {"v1.0.0 v1.1.0 v2.0.0+incompatible", with("v1.0.0", bareGoMod)},
		{"v1.0.0 v1.1.0-rc.1 v2.0.0+incompatible", with("v1.0.0", bareGoMod)}, {"v1.0.0 v1.1.0-rc.1 v2.0.0+incompatible", with("v1.1.0-rc.1", bareGoMod)},
		{"v1.0.0 v2.0.0+incompatible v3.0.0+incompatible v4.0.0-rc.1+incompatible", bare},
		{pseudoNewer + " v2.0.0+incompatible", own}, {pseudoNewer + " v2.0.0+incompatible", bare}, {pseudoNewer + " " + pseudoOld2, bare},
		{"v1.0.0 v1.1.0 v1.1.5 v1.2.0", with("v1.2.0", retract("[v1.1.0, v1.2.0]"))}, {"v1.0.0 v1.1.0", with("v1.0.0", retract("v1.1.0"))},
		{"v0.9.0 v1.0.0 v1.1.0-rc.1", with("v1.1.0-rc.1", retract("v1.0.0"))}, {"v0.9.0 v1.0.0 v1.1.0-rc.1", with("v1.0.0", retract("v1.0.0"))},
		{"v0.9.0-rc.1 v1.0.0", all("v1.0.0")}, {"v1.0.0 v2.0.0-rc.1", all("[v1.0.0, v1.9.0]")}, {"v1.0.0 " + pseudoNewer, all("[v1.0.0, v1.9.0]")}, {"v1.0.0", all("v1.0.0")}, {"v1.0.0 " + pseudoNewer, all("[v0.0.0-0, v1.9.0]")},
		{pseudoOlder + " " + pseudoNewer, with(pseudoNewer, retract(pseudoNewer))}, {pseudoOlder + " " + pseudoNewer, with(pseudoNewer, retract(pseudoOlder))},
		{"v1.0.0 v2.0.0+incompatible", all("v1.0.0")}, {"v1.0.0 v1.1.0 v2.0.0+incompatible", with("v1.1.0", retract("v1.1.0"), "v1.0.0", bareGoMod)},
		{"v1.0.0 v2.0.0+incompatible", map[string]string{"*": bareGoMod, "v2.0.0+incompatible": retract("v2.0.0+incompatible")}},
		{"v1.0.0 v2.0.0+incompatible", map[string]string{"*": bareGoMod, "v2.0.0+incompatible": retract("v2.0.0")}},
		{"v1.0.0 v1.1.0", all("[v1.1.0]")}, {"v1.0.0 v1.1.0", all("master")}, {"v1.0.0 v1.1.0", all("v1.1")}, {"v1.0.0 v1.1.0", all("[v1.1.0, v1.0.0]")},
		{"v1.0.0 v1.1.0", with("v1.1.0", retract("v1.1.0")+"require bad\n")}, {"v1.0.0 v1.1.0", with("v1.1.0", retract("v1.1.0")+"future thing\n")}, {"v1.0.0 v1.1.0", with("v1.1.0", "module other.y/z\n\nretract v1.1.0\n")},
		{"v0.0.0 v0.0.1-0 v0.0.1", own},
	}
}

// latestVectors asks the go command itself, through a proxy of files.
func latestVectors() []obj {
	root, err := os.MkdirTemp("", "latest-vectors-")
	must(err)
	defer os.RemoveAll(root)
	var out []obj
	for i, s := range latestScenarios() {
		proxy := filepath.Join(root, fmt.Sprint("proxy", i))
		versions := strings.Fields(s.versions)
		writeProxy(proxy, versions, s.goMods)
		out = append(out, obj{"versions": versions, "goMods": s.goMods, "latest": askGo(root, proxy)})
	}
	return out
}

func writeProxy(proxy string, versions []string, goMods map[string]string) {
	folder := filepath.Join(proxy, latestPath, "@v")
	must(os.MkdirAll(folder, 0o755))
	must(os.WriteFile(filepath.Join(folder, "list"), []byte(strings.Join(versions, "\n")+"\n"), 0o644))
	for _, v := range versions {
		text, ok := goMods[v]
		if !ok {
			text = goMods["*"]
		}
		escaped, err := module.EscapeVersion(v)
		must(err)
		must(os.WriteFile(filepath.Join(folder, escaped+".info"), fmt.Appendf(nil, `{"Version":%q,"Time":"2020-01-01T00:00:00Z"}`, v), 0o644))
		must(os.WriteFile(filepath.Join(folder, escaped+".mod"), []byte(text), 0o644))
	}
}

// askGo returns the version that `go list -m x.y/z@latest` chooses, or "" when it finds none.
func askGo(root, proxy string) string {
	command := exec.Command("go", "list", "-m", "-f", "{{.Version}}", latestPath+"@latest")
	command.Dir = root
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + root, "GOENV=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOSUMDB=off",
		"GOPROXY=file://" + proxy, "GOMODCACHE=" + proxy + "-cache", "GOCACHE=" + filepath.Join(root, "cache"), "GO111MODULE=on",
	}
	output, err := command.CombinedOutput()
	if err != nil {
		if strings.Contains(string(output), "no matching versions") || strings.Contains(string(output), "no commits") {
			return ""
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", proxy, output)
		os.Exit(1)
	}
	return strings.TrimSpace(string(output))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
