// Command vectors prints what Go's own packages say about module paths, versions, patterns and go.mod files, for
// the tests in src/gomod to agree with. It needs golang.org/x/mod and the go command, which it asks for @latest
// through a proxy of files. Its output is the same on each run.
//
// Regenerate: cd test/kit/vectors && go run . > vectors.json
// (then `npx biome format --write test/kit/vectors/vectors.json` in the repository, which keeps the diff small)
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

type obj = map[string]any

func main() {
	random := rand.New(rand.NewSource(20240607))
	paths := allPaths(random)
	versions := allVersions(random)
	out := obj{
		"paths":        pathVectors(paths),
		"escapedPaths": escapedPathVectors(random, paths),
		"versions":     versionVectors(versions),
		"compare":      compareVectors(random, versions),
		"sorted":       sortedVectors(random, versions),
		"escapedVers":  escapedVersionVectors(random, versions),
		"fits":         fitVectors(random, versions),
		"patterns":     patternVectors(random),
		"goMods":       goModVectors(random),
		"infos":        infoVectors(),
		"latest":       latestVectors(),
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// mutate changes, drops, doubles or inserts a few characters of s.
func mutate(random *rand.Rand, s, alphabet string) string {
	letters := []rune(alphabet)
	runes := []rune(s)
	for range 1 + random.Intn(3) {
		at := random.Intn(len(runes) + 1)
		letter := letters[random.Intn(len(letters))]
		switch {
		case at == len(runes) || random.Intn(3) == 0:
			runes = slices.Insert(runes, at, letter)
		case random.Intn(2) == 0:
			runes[at] = letter
		default:
			runes = slices.Delete(runes, at, at+1)
		}
	}
	return string(runes)
}

// grow returns the unique texts of base followed by count mutations of them.
func grow(random *rand.Rand, base []string, alphabet string, count int) []string {
	seen := map[string]bool{}
	var out []string
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	for _, s := range base {
		add(s)
	}
	for range count {
		add(mutate(random, base[random.Intn(len(base))], alphabet))
	}
	return out
}

func allPaths(random *rand.Rand) []string {
	base := []string{
		"", "/", ".", "..", "-", "a", "x.y", "x.y/", "/x.y", "x.y//z", "x.y/z", "x.y/./z", "x.y/../z", "x.y/.z", "x.y/z.",
		"x.y/z..", "x.y/...", ".x.y/z", "x..y/z", "-x.y/z", "x.-y/z", "x.y/-z", "x_y.z/a", "X.y/z", "x.Y/z", "x.y/Z",
		"localhost/z", "x.y/a b", "x.y/a+b", "x.y/a@b", "x.y/a!b", "x.y/a%20b", "x.y/ä", "ä.de/x", "x.y/世界", "x.y/\u2028",
		"x.y/a\\b", "x.y/a:b", "x.y/a\x00b", "x.y/a\nb", "x.y/a~", "x.y/a~1", "x.y/a~1b", "x.y/a~12", "x.y/a~1.b", "x.y/a~b~1", "x.y/~1",
		"x.y/~", "x.y/a~.1", "x~1.y/z", "x.y~1/z", "x.y/con", "x.y/CON", "x.y/Con.txt", "x.y/con1", "x.y/aux.c", "x.y/nul", "x.y/com1", "x.y/COM9.x",
		"x.y/com0", "x.y/com10", "x.y/lpt1", "x.y/lPt5.a.b", "x.y/lpt", "x.y/prn", "con.y/z", "nul.com", "x.con/z", "aux",
		"x.y/v1", "x.y/v2", "x.y/v0", "x.y/v01", "x.y/v02", "x.y/v10", "x.y/v2.0", "x.y/v1.2.3", "x.y/v", "x.y/v.", "x.y/v2.", "x.y/z/v2", "x.y/z/v1",
		"x.y/z/v3/w", "x.y/z/v0/w", "x.y/zv2", "x.y/z.v2", "x.y/z-v2", "x.y/V2", "v2", "/v2", "v2.x/y", "x.y/z/v99999999999999999999",
		"x.y/v2/v3", "x.y/z1", "x.y/1", "x.y/1.2", "x.y2", "x.2", "1.2", "x.y/2.v2", "x.y/z/v2.v3",
		"gopkg.in/yaml.v2", "gopkg.in/yaml", "gopkg.in/yaml.v0", "gopkg.in/yaml.v1", "gopkg.in/yaml.v01", "gopkg.in/yaml.v00", "gopkg.in/yaml.v10",
		"gopkg.in/user/yaml.v3", "gopkg.in/yaml.v2-unstable", "gopkg.in/yaml.v0-unstable", "gopkg.in/yaml-unstable", "gopkg.in/yaml/v2",
		"gopkg.in/yaml.v2/x", "gopkg.in/yaml.v", "gopkg.in/.v2", "gopkg.in/v2", "gopkg.in/yaml.v2.", "gopkg.in/yaml.v2.v3", "gopkg.in/", "gopkg.in",
		"gopkg.in/yaml.v02-unstable", "gopkg.in/yaml.v2-unstable-unstable", "Gopkg.in/yaml.v2", "gopkg.in.x/yaml",
		"github.com/Azure/azure-sdk-for-go", "github.com/BurntSushi/toml", "golang.org/toolchain", "golang.org/x/mod", "k8s.io/client-go",
		"github.com/a-b_c.d~e/F9", "example.com/" + strings.Repeat("a/", 60) + "b", strings.Repeat("a", 200) + ".com/x", "modernc.org/sqlite",
		"x.y/\U0001F600", "x.y/\uFFFD", "x.y/K", "x.y/ſ", "x.y/ß", "a.b/c\td", "a.b/'", "a.b/\"", "a.b/(c)", "a.b/c,d", "a.b/c#d", "a.b/c?d", "a.b/c&d=e",
	}
	return grow(random, base, "aZ09.-_~/v!+@ con1ä", 700)
}

func pathVectors(paths []string) []obj {
	var out []obj
	for _, p := range paths {
		escaped, err := module.EscapePath(p)
		prefix, major, ok := module.SplitPathVersion(p)
		v := obj{"path": p, "ok": module.CheckPath(p) == nil, "import": module.CheckImportPath(p) == nil, "split": nil}
		if err == nil {
			v["escaped"] = escaped
		}
		if ok {
			v["split"] = []string{prefix, major}
		}
		out = append(out, v)
	}
	return out
}

func escapedPathVectors(random *rand.Rand, paths []string) []obj {
	var base []string
	for _, p := range paths {
		if e, err := module.EscapePath(p); err == nil && (strings.Contains(e, "!") || random.Intn(4) == 0) {
			base = append(base, e)
		}
	}
	base = append(base, "", "!", "!!", "!a", "!A", "x.y/!", "x.y/!!a", "x.y/!1", "x.y/a!", "x.y/!a!b", "!x.y/z", "x.y/!ä", "x.y/!/", "x.y/A", "x.y/!a~1", "x.y/!c!o!n", "x.y/!v2")
	var out []obj
	for _, e := range grow(random, base, "!!!aZ~/.1ä", 400) {
		v := obj{"escaped": e, "path": nil}
		if p, err := module.UnescapePath(e); err == nil {
			v["path"] = p
		}
		out = append(out, v)
	}
	return out
}

func allVersions(random *rand.Rand) []string {
	base := []string{
		"", "v", "v1", "v1.2", "v1.2.3", "1.2.3", "V1.2.3", "vv1.2.3", "v01.2.3", "v1.02.3", "v1.2.03", "v1.2.3.4", "v1.", "v1.2.", "v.1.2", "v-1.2.3", "v1.2.3-", "v1.2.3+",
		"v1.2.3-+", "v1.2.3-a+", "v1.2.3-a..b", "v1.2.3-.a", "v1.2.3-a.", "v1.2.3+a..b", "v1.2.3-0", "v1.2.3-00", "v1.2.3-01", "v1.2.3-0a", "v1.2.3-a.01", "v1.2.3-a.0", "v1.2.3+01", "v1.2.3-01a",
		"v1.2.3--", "v1.2.3---.-", "v1.2.3-a_b", "v1.2.3-ä", "v1.2.3 ", " v1.2.3", "v1.2.3\n", "v1.2.3\x00", "v1-a", "v1.2-a", "v1+a", "v1.2+incompatible", "v1.2.3+a+b", "v1.2.3-a+b-c", "v1.2.3-a/b",
		"v0.0.0", "v0", "v0.0", "v2.0.0+incompatible", "v1.0.0+incompatible", "v2.0.0", "v3.0.0-rc.1+incompatible", "v2.0.0+incompatible.1", "v2.0.0+Incompatible", "v2.0.0-incompatible", "v10.20.30",
		"v99999999999999999999999.1.0", "v99999999999999999999998.1.0", "v1.2.3-99999999999999999999", "v1.2.3-99999999999999999998", "v1.2.3-rc.2", "v1.2.3-rc.10", "v1.2.3-rc10", "v1.2.3-RC1", "v1.2.3-alpha", "v1.2.3-alpha.1", "v1.2.3-alpha.beta", "v1.2.3-alpha.1.2", "v1.2.3-beta", "v1.2.3-1", "v1.2.3-2", "v1.2.3-10", "v1.2.3-a-b",
		"v0.0.0-20200101120000-abcdefabcdef", "v0.0.0-20200101120000-abcdefabcdef+incompatible", "v1.0.0-20200101120000-abcdefabcdef", "v2.0.0-20200101120000-abcdefabcdef", "v1.2.4-0.20200101120000-abcdefabcdef", "v1.2.3-pre.0.20200101120000-abcdefabcdef", "v1.2.3-0.20200101120000-abcdefabcdef+incompatible", "v3.1.1-0.20190101120000-abcdefabcdef+incompatible",
		"v1.2.3-20200101120000-abcdefabcdef", "v0.0.1-20200101120000-abcdefabcdef", "v0.1.0-20200101120000-abcdefabcdef", "v0.0.0-0.20200101120000-abcdefabcdef", "v0.0.0-pre.20200101120000-abcdefabcdef", "v0.0.0-pre.0.20200101120000-abcdefabcdef", "v0.0.0-20200101120000", "v0.0.0-20200101120000-", "v0.0.0-2020010112000-abcdefabcdef", "v0.0.0-202001011200000-abcdefabcdef", "v0.0.0-20200101120000-abc-def", "v0.0.0-20200101120000-ABC", "v0.0.0-20200101120000-abc.def", "v0.0.0-00010101000000-000000000000", "v0.0.0-00000101000000-000000000000", "v0.0.0-20201301120000-a", "v0.0.0-20200231120000-a", "v0.0.0-20200229120000-a", "v0.0.0-20210229120000-a", "v0.0.0-20200101240000-a", "v0.0.0-20200101126000-a", "v0.0.0-20200101120060-a", "v0.0.0-99991231235959-a", "v0.0.0-20200100120000-a", "v0.0.0-20200001120000-a", "v0.0.0-20200101120000-1", "v0.0.0-20200101120000-01", "v1.2.3-a.b.0.20200101120000-x+meta.1", "v1.2.3-a-0.20200101120000-x", "v1.2.3-00.20200101120000-x", "v1.2.3-a00.20200101120000-x", "v0.0.0-1.0.20200101120000-x", "v1.2.3-.0.20200101120000-x", "v1-20200101120000-x", "v1.2.3-0.20200101120000-x+incompatible.2",
		"v0.0.1-go1.21.0.linux-amd64", "v0.0.1-go1.26rc1.windows-arm64", "v1.2.3+meta", "v1.2.3-pre+meta.2",
		"master", "main", "HEAD", "latest", "release-1.2", "feature/x", "abcdef123456", "a!b", "a b", "con", "CON.1", "nul", ".", "..", "...", "a.", ".a", "a~1", "a+b", "a*b", "a?b", "a:b", "a\\b", "a|b", "a<b", "ü", "aä", "a@b", "{a}", "[a]", "#a", "$a", "%41", "a&b", "(a)", "a;b", "a'b", "a\"b", "a`b", "^a", "~a", ",a", "=a", "a\tb", "\x7f", "com1.x", "com0", "lpt9", "-a", "_", "\u00a0", "世界", "v1.2.3-RC1+Build", "K", "日本",
	}
	for range 300 {
		base = append(base, randomVersion(random))
	}
	return grow(random, base, "v01239.-+aZ~!/ ä", 800)
}

// randomVersion is a valid version, now and then a pseudo-version.
func randomVersion(random *rand.Rand) string {
	pick := func(list ...string) string { return list[random.Intn(len(list))] }
	number := func() string { return pick("0", "0", "1", "2", "9", "10", "11", "100", "18446744073709551616") }
	text := "v" + number() + "." + number() + "." + number()
	identifier := func() string { return pick("0", "1", "2", "10", "a", "b", "rc", "rc1", "RC", "-", "0a", "a-0", "x--") }
	stamp := fmt.Sprintf("%04d%02d%02d%02d%02d%02d-%s", random.Intn(3000), 1+random.Intn(12), 1+random.Intn(31), random.Intn(24), random.Intn(60), random.Intn(60), pick("abcdefabcdef", "0", "XYZ"))
	switch random.Intn(5) {
	case 0:
		text += "-" + identifier()
	case 1:
		text += "-" + identifier() + "." + identifier() + "." + identifier()
	case 2:
		text += pick("-", "-0.", "-rc.1.0.", "-pre.0.") + stamp
	case 3:
		text = pick("v0", "v1", "v2") + ".0.0-" + stamp
	}
	return text + pick("", "", "", "+incompatible", "+meta.01")
}

func versionVectors(versions []string) []obj {
	var out []obj
	for _, v := range versions {
		o := obj{
			"text": v, "valid": semver.IsValid(v), "canonical": semver.Canonical(v), "major": semver.Major(v), "majorMinor": semver.MajorMinor(v),
			"pre": semver.Prerelease(v), "build": semver.Build(v), "moduleCanonical": module.CanonicalVersion(v), "pseudo": module.IsPseudoVersion(v), "escaped": nil,
		}
		if e, err := module.EscapeVersion(v); err == nil {
			o["escaped"] = e
		}
		if rev, err := module.PseudoVersionRev(v); err == nil {
			o["rev"] = rev
		}
		if t, err := module.PseudoVersionTime(v); err == nil {
			o["timeMs"] = t.UnixMilli()
		}
		out = append(out, o)
	}
	return out
}

// compareVectors are triples a, b, result.
func compareVectors(random *rand.Rand, versions []string) [][]any {
	var valid []string
	for _, v := range versions {
		if semver.IsValid(v) {
			valid = append(valid, v)
		}
	}
	var out [][]any
	add := func(a, b string) { out = append(out, []any{a, b, semver.Compare(a, b)}) }
	for range 1500 {
		add(valid[random.Intn(len(valid))], valid[random.Intn(len(valid))])
	}
	for range 150 {
		add(versions[random.Intn(len(versions))], versions[random.Intn(len(versions))])
	}
	for _, a := range valid {
		add(a, mutate(random, a, "0129.-a+"))
	}
	return out
}

func sortedVectors(random *rand.Rand, versions []string) []obj {
	var out []obj
	for size := 0; size < 120; size += 13 {
		var list []string
		for range size {
			list = append(list, versions[random.Intn(len(versions))])
		}
		list = append(list, "v2.0.0+incompatible", "v2.0.0", "v2.0.0+b", "v2", "", "\uFFFD", "\U00010000")
		sorted := slices.Clone(list)
		semver.Sort(sorted)
		out = append(out, obj{"list": list, "sorted": sorted})
	}
	return out
}

func escapedVersionVectors(random *rand.Rand, versions []string) []obj {
	var base []string
	for _, v := range versions {
		if e, err := module.EscapeVersion(v); err == nil && (strings.Contains(e, "!") || random.Intn(3) == 0) {
			base = append(base, e)
		}
	}
	base = append(base, "", "!", "!!", "a!", "!1", "!A", "A", "!!a", "v1.0.0-!r!c1", "!c!o!n", "!ä")
	var out []obj
	for _, e := range grow(random, base, "!!aZ.0/ä ~", 300) {
		o := obj{"escaped": e, "text": nil}
		if v, err := module.UnescapeVersion(e); err == nil {
			o["text"] = v
		}
		out = append(out, o)
	}
	return out
}

// fitVectors are path, version, module.Check, and whether module.Check and canonical form hold together.
func fitVectors(random *rand.Rand, versions []string) []obj {
	paths := []string{"x.y/z", "x.y/z/v2", "x.y/z/v3", "x.y/z/v10", "x.y/z/v1", "x.y/z/v0", "gopkg.in/a.v0", "gopkg.in/a.v1", "gopkg.in/a.v2", "gopkg.in/a.v1-unstable", "gopkg.in/a.v2-unstable", "gopkg.in/a", "golang.org/toolchain", "x.y", "x.y/v2", "bad path"}
	fixed := []string{"v0.0.0-20200101120000-abcdefabcdef", "v1.0.0", "v2.0.0", "v2.0.0+incompatible", "v0.1.0", "v3.0.0", "v10.0.0", "v1", "v2", "v2.1", "", "v2.0.0+meta", "v1.0.0+meta", "v0.0.1-go1.21.0.linux-amd64", "v0.0.0-", "v0.0.0-x", "master", "v1.0.0-20200101120000-abcdefabcdef"}
	var out []obj
	add := func(p, v string) {
		ok := module.Check(p, v) == nil
		out = append(out, obj{"path": p, "version": v, "ok": ok, "canonical": ok && v == module.CanonicalVersion(v)})
	}
	for _, p := range paths {
		for _, v := range fixed {
			add(p, v)
		}
		for range 25 {
			add(p, versions[random.Intn(len(versions))])
		}
	}
	return out
}

func patternVectors(random *rand.Rand) []obj {
	globs := []string{
		"", ",", ",,", "*", "*,", "x.y", "x.y/", "x.y//", "/", "//", "x.y/z", "x.y/*", "*.y", "*.y/z", "x.y/z/*", "*/*", "*/*/*", "x.*/z?", "?.y", "[x].y", "[^x].y", "[a-z].y", "[z-a].y", "[a-zA-Z0-9]*.y",
		"[", "[]", "[^]", "[a", "[a-", "[a-]", "[-a]", "[]a]", "[^]a]", "[a\\]]", "[\\]]", "[\\", "\\", "a\\", "\\x.y", "x.y\\/z", "x[./]y", "x.y[/]z", "x.y[^a]z", "x.y/[^/]", "*[^x]*z", "**", "***.y", "x.*y*", "*x*.*y*", "*a*b*c", "x.y/z,a.b/c", "a.b,[,x.y", "x.y/z/../w", "x.y?z", "x.y/[a-c]*/[!d]", "[[]", "[*]", "[*]*", "[a*]*.y", "]", "x]", "]*", "[a]]", "*]", "x.y/z*/w", "*/z", "*/z/", "?/?", "????", "*.*", "*.*.*", "git.corp.example.com,*.internal", "github.com/Acme/*,github.com/acme/*", "ä.de", "?.de", "[ä-ü].de", "*ä*", "[世-界]", " x.y", "x.y ", "x.y , a.b", "a.b/[", "a.b/*/[", "*[", "*\\", "x.y/z\\*", "*/*[a-", "[a-b-c]", "[a-b-]", "a[b]c[d]e", "*.y/*/w", "*y", "*z", "x*y*z", "a*a*a*a*b", "*[/y]z", "a[/b]*", "*[/y]*", "[/x]*/z",
	}
	targets := []string{
		"", "x.y", "x.y/z", "x.y/z/w", "a.b/c", "a.b/c/d/e", "x.y/zz", "X.y", "sub.x.y/z", "x", "x/y", "/", "x.y/", "/x.y", "x.y//z", "x.y/a/d", "x.y/cc/x", "ä.de", "ü.de/x", "世", "git.corp.example.com/team/app", "db.internal/x", "github.com/acme/app", "github.com/Acme/app", "a]", "]", "[", "*", "xa.by", "xx.yy", "aaaaaaaaaab", "aaaaaaaaaaaaaa", "a/z", "abcde", "a.c/z", "😀.y", "b-c", "axbxc", "x.yz", "\\", "x.y/z*", "x y", " x.y", "x/yz", "ab/c", "a/b/yz", "xx/z",
	}
	var out []obj
	for _, g := range grow(random, globs, "*?[]^-\\/,.xyaä", 350) {
		// Which targets match, as indices, keeps the file small.
		hits := []int{}
		for i, t := range targets {
			if module.MatchPrefixPatterns(g, t) {
				hits = append(hits, i)
			}
		}
		out = append(out, obj{"globs": g, "hits": hits})
	}
	return []obj{{"targets": targets, "cases": out}}
}

func goModVectors(random *rand.Rand) []obj {
	base := goModTexts()
	var out []obj
	for _, text := range grow(random, base, "\n\n \t\"`\\(),[]/*/;v1.0\rmä'", 500) {
		o := obj{"text": text, "scan": modfile.ModulePath([]byte(text))}
		f, err := modfile.ParseLax("go.mod", []byte(text), nil)
		o["ok"] = err == nil
		if err == nil {
			requires := [][]any{}
			for _, r := range f.Require {
				requires = append(requires, []any{r.Mod.Path, r.Mod.Version, r.Indirect})
			}
			retracts := [][]string{}
			for _, r := range f.Retract {
				retracts = append(retracts, []string{r.Low, r.High, r.Rationale})
			}
			o["requires"], o["retracts"] = requires, retracts
			if f.Module != nil {
				o["module"] = f.Module.Mod.Path
			}
			if f.Go != nil {
				o["go"] = f.Go.Version
			}
		}
		out = append(out, o)
	}
	return out
}

func infoVectors() []obj {
	texts := []string{
		`{}`, `null`, `[]`, `1`, ``, ` `, `{"Version":"v1.0.0"}`, `{"version":"v1.0.0"}`, `{"VERSION":"v1.0.0","Version":"v1.0.1"}`, `{"Version":"v1.0.0","version":"v1.0.1"}`, `{"Version":1}`, `{"Version":null}`, `{"Version":["v1.0.0"]}`,
		`{"Version":"v1.0.0"} `, `{"Version":"v1.0.0"}x`, "\ufeff" + `{"Version":"v1.0.0"}`, `{"Version":"v1.0.0",}`, `{'Version':'v1.0.0'}`, `{"Version":"v1.0.0","Origin":{"VCS":"git","Ref":"refs/tags/v1.0.0"}}`, `{"Version":"v1.0.0","Time":null}`, `{"Version":"v1.0.0","Time":1}`,
	}
	for _, t := range []string{
		"", "2020-01-02T03:04:05Z", "2020-01-02T03:04:05.123456789Z", "2020-01-02T03:04:05+08:00", "2020-01-02T03:04:05-23:59", "2020-01-02T03:04:05+24:00", "2020-01-02T03:04:05+08:60", "2020-01-02T03:04:05+24:60", "2020-01-02T03:04:05+25:00", "2020-01-02T03:04:05+08:61", "2020-01-02T24:04:05Z", "2020-01-02T33:04:05Z", "2020-01-02T:04:05Z", "2020-01-02T03:04:5Z", "2020-01-02T03:04:05+8:00", "2020-01-02T03:04:05ZZ", "2020-01-02T03:04:05+0800", "2020-01-02T03:04:05", "2020-01-02t03:04:05z", "2020-01-02 03:04:05Z",
		"2020-02-29T00:00:00Z", "2021-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2020-13-01T00:00:00Z", "2020-00-01T00:00:00Z", "2020-01-00T00:00:00Z", "2020-01-32T00:00:00Z", "2020-04-31T00:00:00Z", "2020-01-02T24:00:00Z", "2020-01-02T23:60:00Z", "2020-01-02T23:59:60Z", "2020-01-02T3:04:05Z", "2020-1-02T03:04:05Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2020-01-02T03:04:05,5Z", "2020-01-02T03:04:05.Z", "2020-01-02T03:04:05Z ", "yesterday",
	} {
		encoded, _ := json.Marshal(t)
		texts = append(texts, `{"Version":"v1.0.0","Time":`+string(encoded)+`}`)
	}
	var out []obj
	for _, text := range texts {
		var info struct {
			Version string
			Time    time.Time
		}
		err := json.Unmarshal([]byte(text), &info)
		out = append(out, obj{"text": text, "ok": err == nil && info.Version != "", "version": info.Version})
	}
	return out
}
