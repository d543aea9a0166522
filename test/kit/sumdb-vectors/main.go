// Command sumdbvectors writes vectors.json: what golang.org/x/mod/sumdb/note and tlog say of keys, notes, tree heads,
// records, tile paths, stored hash indexes, proofs, and what their TileHashReader reads.
// Regenerate with: cd test/kit/sumdb-vectors && go run . && npx biome format --write vectors.json
package main

import (
	"encoding/json"
	"log"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

type vectors struct {
	Keys          []keyVector        `json:"keys"`
	Notes         []noteVector       `json:"notes"`
	TreeTexts     []treeTextVector   `json:"treeTexts"`
	Lookups       []lookupVector     `json:"lookups"`
	RecordTexts   []recordTextVector `json:"recordTexts"`
	TilePaths     []tilePathVector   `json:"tilePaths"`
	StoredIndexes [][3]int64         `json:"storedIndexes"`
	StoredCounts  [][2]int64         `json:"storedCounts"`
	TilesForIndex []tileIndexVector  `json:"tilesForIndex"`
	Trees         []treeVector       `json:"trees"`
	TileReads     []tileReadVector   `json:"tileReads"`
}

func main() {
	log.SetFlags(0)
	out := vectors{
		Keys:        keyVectors(),
		Notes:       noteVectors(),
		TreeTexts:   treeTextVectors(),
		Lookups:     lookupVectors(),
		RecordTexts: recordTextVectors(),
		TilePaths:   tilePathVectors(),
	}
	for _, index := range someIndexes() {
		level, n := tlog.SplitStoredHashIndex(index)
		if tlog.StoredHashIndex(level, n) != index {
			log.Fatalf("index %d does not come back", index)
		}
		out.StoredIndexes = append(out.StoredIndexes, [3]int64{index, int64(level), n})
		for _, height := range []int{1, 2, 8, 30} {
			tile := tlog.TileForIndex(height, index)
			out.TilesForIndex = append(out.TilesForIndex, tileIndexVector{height, index, tile.Path()})
		}
	}
	for n := int64(0); n < 40; n++ {
		out.StoredCounts = append(out.StoredCounts, [2]int64{n, tlog.StoredHashCount(n)})
	}
	for _, n := range []int64{255, 256, 257, 65536, 1<<31 - 1, 1 << 31, 1<<32 + 1, 123456789012, 1<<52 - 1, 1 << 52} {
		out.StoredCounts = append(out.StoredCounts, [2]int64{n, tlog.StoredHashCount(n)})
	}
	out.Trees, out.TileReads = treeVectors()
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("vectors.json", append(text, '\n'), 0o644); err != nil {
		log.Fatal(err)
	}
}

// someIndexes are the first ones, those around powers of two, and the largest that JavaScript counts exactly.
func someIndexes() []int64 {
	var indexes []int64
	for i := int64(0); i < 40; i++ {
		indexes = append(indexes, i)
	}
	for _, shift := range []uint{8, 16, 31, 32, 33, 52} {
		for d := int64(-2); d <= 2; d++ {
			indexes = append(indexes, 1<<shift+d)
		}
	}
	return append(indexes, 123456789012345, 1<<53-3, 1<<53-2, 1<<53-1)
}
