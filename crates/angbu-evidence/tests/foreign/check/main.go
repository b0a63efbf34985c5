// Checks a log's files with Go's own sumdb packages and nothing of ours.
//
//	check FOLDER
//
// FOLDER holds the log's verifier key (key), two checkpoints (old, new), tiles as they are served (tile/...), and in
// entries/INDEX and proofs/INDEX some entries with the inclusion paths that the log gave for them; in consistency the
// path from the one checkpoint to the other. Exit status 0: all of it holds.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var folder string

func read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(folder, name))
	need(err, name)
	return data
}

func need(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "refused: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func checkpoint(name string, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(read(name), note.VerifierList(verifier))
	need(err, name)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		need(fmt.Errorf("not a checkpoint of %s", verifier.Name()), name)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	need(err, name)
	root, err := tlog.ParseHash(lines[2])
	need(err, name)
	return tlog.Tree{N: size, Hash: root}
}

// The tiles in the folder, under the names that C2SP gives them: Go's own begin with the height as well.
type tiles struct{}

func (tiles) Height() int { return 8 }

func (tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(folder, "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func hashes(name string) []tlog.Hash {
	var list []tlog.Hash
	for _, line := range strings.Fields(string(read(name))) {
		data, err := base64.StdEncoding.DecodeString(line)
		need(err, name)
		var hash tlog.Hash
		copy(hash[:], data)
		list = append(list, hash)
	}
	return list
}

func main() {
	folder = os.Args[1]
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read("key"))))
	need(err, "key")
	old, new := checkpoint("old", verifier), checkpoint("new", verifier)
	reader := tlog.TileHashReader(new, tiles{})

	path, err := tlog.ProveTree(new.N, old.N, reader)
	need(err, "tiles")
	need(tlog.CheckTree(path, new.N, new.Hash, old.N, old.Hash), "consistency by the tiles")
	need(tlog.CheckTree(hashes("consistency"), new.N, new.Hash, old.N, old.Hash), "consistency")

	entries, err := os.ReadDir(filepath.Join(folder, "entries"))
	need(err, "entries")
	for _, entry := range entries {
		index, err := strconv.ParseInt(entry.Name(), 10, 64)
		need(err, entry.Name())
		leaf := tlog.RecordHash(read("entries/" + entry.Name()))
		path, err := tlog.ProveRecord(new.N, index, reader)
		need(err, "tiles")
		need(tlog.CheckRecord(path, new.N, new.Hash, index, leaf), "inclusion by the tiles of entry "+entry.Name())
		given := hashes("proofs/" + entry.Name())
		need(tlog.CheckRecord(given, new.N, new.Hash, index, leaf), "inclusion of entry "+entry.Name())
	}
	fmt.Printf("proven: %d entries and growth from %d to %d\n", len(entries), old.N, new.N)
}
