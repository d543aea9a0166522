package main

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// least gives the smallest rune of r's simple folding orbit, with A-Z moved to a-z as x/mod/zip does.
func least(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			r = next
			break
		}
		r = next
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// writeFoldTable writes src/zip/fold-table.ts: runs of [first, count, stride, delta].
func writeFoldTable(file string) error {
	type run struct{ first, count, stride, delta rune }
	var runs []run
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		delta := least(r) - r
		if delta == 0 {
			continue
		}
		if n := len(runs); n > 0 {
			last := &runs[n-1]
			gap := r - (last.first + (last.count-1)*last.stride)
			if last.delta == delta && (last.count == 1 && gap <= 2 || gap == last.stride) {
				last.stride = gap
				last.count++
				continue
			}
		}
		runs = append(runs, run{r, 1, 1, delta})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "/**\n * Simple case folding of Unicode %s above ASCII, as Go's unicode package knows it. Generated, do not edit:\n", unicode.Version)
	b.WriteString(" * `cd test/kit/zip-vectors && go run . -fold ../../../src/zip/fold-table.ts`. Each run is first code point,\n")
	b.WriteString(" * count, stride, and the distance to the least code point of the folding orbit.\n */\n")
	b.WriteString("// biome-ignore format: generated rows are kept dense\n")
	b.WriteString("export const foldRuns: readonly (readonly [number, number, number, number])[] = [\n")
	for i := 0; i < len(runs); i += 6 {
		b.WriteString(" ")
		for _, r := range runs[i:min(i+6, len(runs))] {
			fmt.Fprintf(&b, " [%#x, %d, %d, %d],", r.first, r.count, r.stride, r.delta)
		}
		b.WriteString("\n")
	}
	b.WriteString("];\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
