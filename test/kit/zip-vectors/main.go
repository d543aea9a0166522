// Command zipvectors writes vectors.json: odd module zips with the verdicts of golang.org/x/mod/zip.CheckZip and
// dirhash.HashZip, plus verdicts of module.CheckFilePath and the folding x/mod/zip uses for collisions.
// Regenerate with: cd test/kit/zip-vectors && go run . && npx biome format --write vectors.json
package main

import (
	"encoding/json"
	"flag"
	"log"
	"math/rand"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

type vector struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"`
	Zip     []byte `json:"zip"`
	// Check and HashError are empty when Go is content.
	Check     string `json:"check"`
	Hash      string `json:"hash"`
	HashError string `json:"hashError"`
}

type filePathVector struct {
	Path string `json:"path"`
	OK   bool   `json:"ok"`
}

func main() {
	log.SetFlags(0)
	foldFile := flag.String("fold", "", "write the folding table to this file instead")
	flag.Parse()
	if *foldFile != "" {
		if err := writeFoldTable(*foldFile); err != nil {
			log.Fatal(err)
		}
		return
	}
	random := rand.New(rand.NewSource(1))
	dir, err := os.MkdirTemp("", "zipvectors")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	var out struct {
		Zips      []vector         `json:"zips"`
		FilePaths []filePathVector `json:"filePaths"`
		Folds     [][2]string      `json:"folds"`
	}
	for _, v := range vectors(random) {
		file := filepath.Join(dir, "v.zip")
		if err := os.WriteFile(file, v.Zip, 0o644); err != nil {
			log.Fatal(err)
		}
		checked, err := modzip.CheckZip(module.Version{Path: v.Path, Version: v.Version}, file)
		if err == nil {
			err = checked.Err()
		}
		if err != nil {
			v.Check = err.Error()
		}
		if v.Hash, err = dirhash.HashZip(file, dirhash.Hash1); err != nil {
			v.HashError = strings.ReplaceAll(err.Error(), dir, "")
		}
		out.Zips = append(out.Zips, v)
	}
	for _, p := range filePaths(random) {
		out.FilePaths = append(out.FilePaths, filePathVector{p, module.CheckFilePath(p) == nil})
	}
	for _, s := range foldSamples(random) {
		var folded []rune
		for _, r := range s {
			folded = append(folded, least(r))
		}
		out.Folds = append(out.Folds, [2]string{s, string(folded)})
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("vectors.json", append(text, '\n'), 0o644); err != nil {
		log.Fatal(err)
	}
}
