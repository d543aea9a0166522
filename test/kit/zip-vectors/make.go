package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand"
	"strings"
	"unicode"
)

const (
	testPath    = "example.com/Mod"
	testVersion = "v1.2.3"
	prefix      = testPath + "@" + testVersion + "/"
)

// entry is one member as it shall stand in the zip; zero values mean the ordinary form.
type entry struct {
	name   string
	data   string
	stored bool
	// raw writes without a data descriptor; crc and size replace the true values when set.
	raw  bool
	crc  *uint32
	size *uint64
	mode fs.FileMode
	// method replaces the method number in the headers.
	method *uint16
	flags  uint16
	// tail is put behind the deflate stream, inside the compressed size.
	tail string
}

func build(entries ...entry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.stored || strings.HasSuffix(e.name, "/") {
			h.Method = zip.Store
		}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		if !e.raw && e.crc == nil && e.size == nil && e.method == nil && e.flags == 0 && e.tail == "" {
			f := must(w.CreateHeader(h))
			if e.data != "" {
				must(f.Write([]byte(e.data)))
			}
			continue
		}
		body := []byte(e.data)
		if h.Method == zip.Deflate {
			var d bytes.Buffer
			fw := must(flate.NewWriter(&d, 6))
			must(fw.Write(body))
			fw.Close()
			body = append(d.Bytes(), e.tail...)
		}
		h.CRC32 = crc32.ChecksumIEEE([]byte(e.data))
		if e.crc != nil {
			h.CRC32 = *e.crc
		}
		h.UncompressedSize64 = uint64(len(e.data))
		if e.size != nil {
			h.UncompressedSize64 = *e.size
		}
		h.CompressedSize64 = uint64(len(body))
		h.Flags = e.flags
		if e.method != nil {
			h.Method = *e.method
		}
		must(must(w.CreateRaw(h)).Write(body))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ptr[T any](v T) *T { return &v }

func named(names ...string) []byte {
	var entries []entry
	for i, name := range names {
		e := entry{name: name, data: fmt.Sprintf("content %d\n", i)}
		if strings.HasSuffix(name, "/") {
			e.data = ""
		}
		entries = append(entries, e)
	}
	return build(entries...)
}

func vectors(random *rand.Rand) []vector {
	var out []vector
	add := func(name string, data []byte) {
		out = append(out, vector{Name: name, Path: testPath, Version: testVersion, Zip: data})
	}
	goMod := entry{name: prefix + "go.mod", data: "module example.com/Mod\n"}
	good := build(goMod, entry{name: prefix + "a.go", data: "package a\n"}, entry{name: prefix + "b/b.go", data: strings.Repeat("b\n", 5000)})

	add("ordinary", good)
	add("empty archive", build())
	add("empty file", build(entry{name: prefix + "empty"}))
	add("stored entries with descriptors", build(entry{name: prefix + "x", data: "stored", stored: true}))
	add("stored entries without descriptors", build(entry{name: prefix + "x", data: "stored", stored: true, raw: true}))
	add("deflated without descriptors", build(entry{name: prefix + "x", data: "deflated", raw: true}))
	add("descriptor without signature", withoutDescriptorSignature())
	add("directory entries", named(prefix, prefix+"d/", prefix+"d/x"))
	add("directory entry twice", named(prefix+"d/", prefix+"d/", prefix+"d/x"))
	add("prefix entry twice", named(prefix, prefix, prefix+"d/x"))
	add("directory with deflated nothing", asDirectory(build(entry{name: prefix + "dir_", raw: true})))
	add("directory with a size", asDirectory(build(entry{name: prefix + "dir_", raw: true, data: "data"})))
	add("names out of order", named(prefix+"z", prefix+"a", prefix+"m/n", prefix+"b", prefix+"m-n", prefix+"m.n"))
	add("names beyond ASCII", named(prefix+"é", prefix+"日本", prefix+"Ω/x", prefix+"𐀀", prefix+"ﬀ", prefix+"\uf900"))
	add("every allowed punctuation", named(prefix+"!#$%&()+,-.=@[]^_{}~ x"))
	add("comment", withComment(good, "a comment"))
	add("long comment", withComment(good, strings.Repeat("c", 3000)))
	add("signature in comment", withComment(good, "PK\x05\x06 and more text after that"))
	add("comment cut", withComment(good, "a comment")[:len(good)+4])
	add("a byte after the end", append(bytes.Clone(good), 0))
	add("bytes before", append([]byte("#!/bin/sh\nexit\n"), good...))
	add("bytes before the directory", withGapBeforeDirectory(good))
	add("zip64 end record", withZip64End(good))
	add("many entries", manyEntries(200))
	for i := 0; i < 12; i++ {
		add(fmt.Sprintf("random tree %d", i), randomTree(random))
	}

	for _, name := range []string{"other.com/m@v1.0.0/x", "x", prefix[:len(prefix)-1], "/" + prefix + "x", "../" + prefix + "x",
		strings.ToLower(prefix) + "x"} {
		add("bad prefix "+name, named(name))
	}
	for _, name := range []string{"../x", "a/../x", "a/..", "./x", "a//b", "/x", "/", "//", "a\\b", "a:b", "a\x00b", "a\nb", "a\x7fb", "con",
		"d/Aux.txt", "nul/x", "com1.go", "LPT9", "a.", "a./b", "...", "a*b", "a?b", "a<b", "a|b", "a`b", "a'b", "a\"b", "\xff", "a\u00a0b",
		"a\u200bb", "a\ufeffb", "e\u0301", "٣", "😀", "a/", "-x", ".x", "a~1", "con-x", "x/."} {
		add(fmt.Sprintf("name %q", name), named(prefix+name))
	}
	add("duplicate", named(prefix+"x", prefix+"x"))
	add("collision in case", named(prefix+"readme", prefix+"README"))
	add("collision of directories", named(prefix+"d/x", prefix+"D/y"))
	add("collision of Kelvin", named(prefix+"k", prefix+"\u212a"))
	add("collision of long s", named(prefix+"s", prefix+"ſ"))
	add("collision of sigma", named(prefix+"σ", prefix+"ς"))
	add("collision of Greek", named(prefix+"Ω", prefix+"ω"))
	add("no collision of dotless i", named(prefix+"i", prefix+"ı"))
	add("no collision of sharp s", named(prefix+"ss", prefix+"ß"))
	add("collision of capital sharp s", named(prefix+"ẞ", prefix+"ß"))
	add("file and directory", named(prefix+"x", prefix+"x/y"))
	add("directory and file", named(prefix+"x/", prefix+"x"))
	add("go.mod below", named(prefix+"d/go.mod"))
	add("go.mod below in capitals", named(prefix+"d/GO.MOD"))
	add("go.mod in capitals", named(prefix+"Go.mod"))
	add("go.mod directory", named(prefix+"go.mod/x"))
	add("go.mod directory entry", named(prefix+"d/go.mod/"))
	add("go.mod too large", build(entry{name: goMod.name, raw: true, data: "x", size: ptr(uint64(16<<20 + 1))}))
	add("LICENSE too large", build(entry{name: prefix + "LICENSE", raw: true, data: "x", size: ptr(uint64(16<<20 + 1))}))
	add("license in lower case not too large", build(entry{name: prefix + "license", data: "x"}))
	add("sum too large", build(entry{name: prefix + "x", raw: true, data: "x", size: ptr(uint64(500<<20 + 1))}))
	add("bomb", build(entry{name: prefix + "x", raw: true, data: strings.Repeat("\x00", 10<<20), size: ptr(uint64(100))}))
	add("size too small", build(entry{name: prefix + "x", raw: true, data: "some content", size: ptr(uint64(4))}))
	add("size too great", build(entry{name: prefix + "x", raw: true, data: "some content", size: ptr(uint64(40))}))
	add("stored size too great", build(entry{name: prefix + "x", raw: true, stored: true, data: "some content", size: ptr(uint64(40))}))
	add("bad crc", build(entry{name: prefix + "x", raw: true, data: "some content", crc: ptr(uint32(1))}))
	add("bad crc stored", build(entry{name: prefix + "x", raw: true, stored: true, data: "some content", crc: ptr(uint32(1))}))
	add("zero crc", build(entry{name: prefix + "x", raw: true, data: "some content", crc: ptr(uint32(0))}))
	add("bad descriptor", withBadDescriptor())
	add("method 12", build(entry{name: prefix + "x", raw: true, data: "x", method: ptr(uint16(12))}))
	add("method 9", build(entry{name: prefix + "x", raw: true, data: "x", method: ptr(uint16(9))}))
	add("encrypted flag", build(entry{name: prefix + "x", raw: true, data: "x", flags: 1}))
	add("bytes after the deflate stream", build(entry{name: prefix + "x", raw: true, data: "x", tail: "garbage"}))
	add("symlink", build(entry{name: prefix + "x", data: "/etc/passwd", mode: fs.ModeSymlink | 0o777}))
	add("device", build(entry{name: prefix + "x", data: "", mode: fs.ModeDevice | 0o777}))
	add("executable", build(entry{name: prefix + "x", data: "#!", mode: 0o755}))
	add("local name differs", replaceFirst(build(entry{name: prefix + "one", data: "x"}), prefix+"one", prefix+"two"))
	add("damaged deflate stream", damaged(good))
	for _, cut := range []int{1, 4, 21, 22, 23, 60, len(good) / 2, len(good) - 30} {
		add(fmt.Sprintf("cut by %d", cut), good[:len(good)-cut])
	}
	add("nothing", nil)
	add("html", []byte("<!DOCTYPE html><html><body>404</body></html>"))
	add("count wrong", patchEnd(good, 10, 9))
	add("offset beyond", patchEnd(good, 16, 0x7fffffff))
	add("directory size wrong", patchEnd(good, 12, 3))
	return out
}

// asDirectory turns the entry named dir_ into dir/, which Go's writer would not give any bytes.
func asDirectory(data []byte) []byte {
	return bytes.ReplaceAll(data, []byte("dir_"), []byte("dir/"))
}

func endOf(data []byte) int { return bytes.LastIndex(data, []byte("PK\x05\x06")) }

func patchEnd(data []byte, at int, value uint32) []byte {
	data = bytes.Clone(data)
	end := endOf(data)
	if at == 10 {
		binary.LittleEndian.PutUint16(data[end+at:], uint16(value))
	} else {
		binary.LittleEndian.PutUint32(data[end+at:], value)
	}
	return data
}

func withComment(data []byte, comment string) []byte {
	data = bytes.Clone(data)
	binary.LittleEndian.PutUint16(data[len(data)-2:], uint16(len(comment)))
	return append(data, comment...)
}

func withGapBeforeDirectory(data []byte) []byte {
	end := endOf(data)
	start := int(binary.LittleEndian.Uint32(data[end+16:]))
	out := append(bytes.Clone(data[:start]), "hidden bytes"...)
	out = append(out, data[start:]...)
	return patchEnd(out, 16, uint32(start+len("hidden bytes")))
}

func withZip64End(data []byte) []byte {
	end := endOf(data)
	count := binary.LittleEndian.Uint16(data[end+10:])
	size := binary.LittleEndian.Uint32(data[end+12:])
	start := binary.LittleEndian.Uint32(data[end+16:])
	out := bytes.Clone(data[:end])
	le := binary.LittleEndian
	out = le.AppendUint32(out, 0x06064b50)
	out = le.AppendUint64(out, 44)
	out = le.AppendUint16(out, 45)
	out = le.AppendUint16(out, 45)
	out = le.AppendUint64(out, 0)
	out = le.AppendUint64(out, uint64(count))
	out = le.AppendUint64(out, uint64(count))
	out = le.AppendUint64(out, uint64(size))
	out = le.AppendUint64(out, uint64(start))
	out = le.AppendUint32(out, 0x07064b50)
	out = le.AppendUint32(out, 0)
	out = le.AppendUint64(out, uint64(end))
	out = le.AppendUint32(out, 1)
	out = append(out, data[end:]...)
	out = patchEnd(out, 10, 0xffff)
	return patchEnd(out, 16, 0xffffffff)
}

// withoutDescriptorSignature drops the optional signature of the only entry's data descriptor.
func withoutDescriptorSignature() []byte {
	data := build(entry{name: prefix + "x", data: "some text, some text, some text"})
	at := bytes.Index(data, []byte("PK\x07\x08"))
	out := append(bytes.Clone(data[:at]), data[at+4:]...)
	end := endOf(out)
	return patchEnd(out, 16, binary.LittleEndian.Uint32(out[end+16:])-4)
}

func withBadDescriptor() []byte {
	data := build(entry{name: prefix + "x", data: "some text"})
	data[bytes.Index(data, []byte("PK\x07\x08"))+4] ^= 1
	return data
}

func damaged(data []byte) []byte {
	data = bytes.Clone(data)
	data[bytes.Index(data, []byte("go.mod"))+len("go.mod")] ^= 0xff
	return data
}

func replaceFirst(data []byte, from, to string) []byte {
	return bytes.Replace(data, []byte(from), []byte(to), 1)
}

func manyEntries(count int) []byte {
	var names []string
	for i := 0; i < count; i++ {
		names = append(names, fmt.Sprintf("%sd%d/f%d", prefix, i%17, i))
	}
	return named(names...)
}

func randomTree(random *rand.Rand) []byte {
	letters := []rune("aAbBkKsSzZ._-+éÉσςΣ日ſ0")
	var entries []entry
	for i := 0; i < 1+random.Intn(5); i++ {
		name := prefix
		for depth := random.Intn(3); depth >= 0; depth-- {
			for n := 1 + random.Intn(3); n > 0; n-- {
				name += string(letters[random.Intn(len(letters))])
			}
			if depth > 0 {
				name += "/"
			}
		}
		data := make([]byte, random.Intn(300))
		random.Read(data)
		entries = append(entries, entry{name: name, data: string(data), stored: random.Intn(3) == 0, raw: random.Intn(2) == 0})
	}
	return build(entries...)
}

func filePaths(random *rand.Rand) []string {
	pieces := []string{"a", "B", ".", "..", "/", "//", "con", "COM1", "nul", "aux", ".txt", "~1", "-", " ", "é", "日", "😀", "\u0301", "*", ":",
		"\\", "'", "@", "!", "^", "\t", "\u00a0", "\u200d", "ª", "ⅷ", "²", "_", "𐀀"}
	out := []string{"", "/", "a/", "/a", ".", "..", "a/.b", "CoN", "con.", "prn.x.y", "lpt10", "coM9/x"}
	for len(out) < 400 {
		s := ""
		for n := 1 + random.Intn(5); n > 0; n-- {
			s += pieces[random.Intn(len(pieces))]
		}
		out = append(out, s)
	}
	return out
}

func foldSamples(random *rand.Rand) []string {
	out := []string{"", "abc", "ABC", "ſK\u212aÅåÅ", "ΣσςΩω", "ẞß", "İıIi", "Ꭰꭰ", "Ǆǅǆ", "µμΜ"}
	var folding []rune
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if unicode.SimpleFold(r) != r {
			folding = append(folding, r)
		}
	}
	for len(out) < 120 {
		var s []rune
		for n := 1 + random.Intn(20); n > 0; n-- {
			s = append(s, folding[random.Intn(len(folding))])
		}
		out = append(out, string(s))
	}
	return out
}
