package main

import (
	"encoding/base64"
	"fmt"
	"log"

	"golang.org/x/mod/sumdb/tlog"
)

// proofVector has its hashes one behind the other, in base64.
type proofVector struct {
	N     int64  `json:"n"`
	Proof string `json:"proof"`
}

// treeVector is the tree of the first Size records, the n'th of which is "record n\n".
type treeVector struct {
	Size       int64         `json:"size"`
	Hash       string        `json:"hash"`
	TreeProofs []proofVector `json:"treeProofs"`
}

// tileReadVector is what TileHashReader gives, and the tiles it saves as proven, in its order.
type tileReadVector struct {
	Size    int64    `json:"size"`
	Height  int      `json:"height"`
	Indexes []int64  `json:"indexes"`
	Hashes  string   `json:"hashes"`
	Tiles   []string `json:"tiles"`
}

type tileIndexVector struct {
	Height int    `json:"height"`
	Index  int64  `json:"index"`
	Path   string `json:"path"`
}

type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = s[x]
	}
	return hashes, nil
}

type tileReader struct {
	storage
	height int
	saved  []string
}

func (r *tileReader) Height() int { return r.height }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		data, err := tlog.ReadTileData(tile, r.storage)
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func (r *tileReader) SaveTiles(tiles []tlog.Tile, _ [][]byte) {
	for _, tile := range tiles {
		r.saved = append(r.saved, tile.Path())
	}
}

func treeVectors() (trees []treeVector, reads []tileReadVector) {
	sizes := map[int64]bool{0: true}
	for n := int64(1); n <= 40; n++ {
		sizes[n] = true
	}
	for _, n := range []int64{63, 64, 65, 99, 100, 255, 256, 257, 511, 512, 513, 768, 1000, 65535, 65536, 65541} {
		sizes[n] = true
	}
	var stored storage
	for n := int64(0); n <= 65541; n++ {
		if sizes[n] {
			hash, err := tlog.TreeHash(n, stored)
			if err != nil {
				log.Fatal(err)
			}
			tree := tlog.Tree{N: n, Hash: hash}
			trees = append(trees, treeVectorOf(tree, stored))
			for _, height := range []int{2, 8} {
				if n > 0 && (n <= 20 || n > 250) {
					reads = append(reads, tileReadVectorOf(tree, height, stored))
				}
			}
		}
		hashes, err := tlog.StoredHashes(n, fmt.Appendf(nil, "record %d\n", n), stored)
		if err != nil {
			log.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	return trees, reads
}

func treeVectorOf(tree tlog.Tree, stored storage) treeVector {
	v := treeVector{Size: tree.N, Hash: tree.Hash.String(), TreeProofs: []proofVector{}}
	for _, n := range distinct(1, tree.N/3, tree.N/2, tree.N-1, tree.N) {
		if n < 1 || n > tree.N {
			continue
		}
		proof, err := tlog.ProveTree(tree.N, n, stored)
		if err != nil {
			log.Fatal(err)
		}
		v.TreeProofs = append(v.TreeProofs, proofVector{n, joined(proof)})
	}
	return v
}

func tileReadVectorOf(tree tlog.Tree, height int, stored storage) tileReadVector {
	last := tlog.StoredHashCount(tree.N) - 1
	v := tileReadVector{Size: tree.N, Height: height, Indexes: distinct(0, last/3, last/2, last-1, last)}
	reader := &tileReader{storage: stored, height: height}
	hashes, err := tlog.TileHashReader(tree, reader).ReadHashes(v.Indexes)
	if err != nil {
		log.Fatal(err)
	}
	v.Hashes, v.Tiles = joined(hashes), reader.saved
	return v
}

func joined(hashes []tlog.Hash) string {
	var bytes []byte
	for _, hash := range hashes {
		bytes = append(bytes, hash[:]...)
	}
	return base64.StdEncoding.EncodeToString(bytes)
}

// distinct leaves out what is negative or was there before.
func distinct(numbers ...int64) []int64 {
	var out []int64
	seen := map[int64]bool{}
	for _, n := range numbers {
		if n >= 0 && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}
