package files

import (
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
)

type Found struct {
	Path string
	Size int64
}

// Walk lists regular files below root, without hidden folders and without
// names that match one of the ignore patterns.
func Walk(root string, ignore []string) ([]Found, error) {
	var found []Found
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || matchesAny(d.Name(), ignore)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || matchesAny(d.Name(), ignore) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		found = append(found, Found{path, info.Size()})
		return nil
	})
	return found, err
}

func matchesAny(name string, patterns []string) bool {
	for _, p := range patterns {
		if ok, _ := filepath.Match(p, name); ok {
			return true
		}
	}
	return false
}

// Largest returns the n biggest files, biggest first.
func Largest(found []Found, n int) []Found {
	sorted := append([]Found(nil), found...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Size > sorted[j].Size })
	if len(sorted) > n {
		sorted = sorted[:n]
	}
	return sorted
}
