package search

import (
	"math"
	"sort"
	"strings"
	"unicode"
)

type posting struct {
	doc   int
	count int
}

// Index maps each term to the documents that contain it.
type Index struct {
	postings map[string][]posting
	lengths  []int
}

func NewIndex() *Index { return &Index{postings: map[string][]posting{}} }

func tokenize(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

func (ix *Index) Add(text string) int {
	doc := len(ix.lengths)
	counts := map[string]int{}
	terms := tokenize(text)
	for _, t := range terms {
		counts[t]++
	}
	for t, n := range counts {
		ix.postings[t] = append(ix.postings[t], posting{doc, n})
	}
	ix.lengths = append(ix.lengths, len(terms))
	return doc
}

// Search scores documents by tf-idf and returns the best ones first.
func (ix *Index) Search(query string, limit int) []int {
	scores := map[int]float64{}
	for _, t := range tokenize(query) {
		list := ix.postings[t]
		idf := math.Log(1 + float64(len(ix.lengths))/float64(len(list)+1))
		for _, p := range list {
			scores[p.doc] += idf * float64(p.count) / math.Sqrt(float64(ix.lengths[p.doc]))
		}
	}
	docs := make([]int, 0, len(scores))
	for d := range scores {
		docs = append(docs, d)
	}
	sort.Slice(docs, func(i, j int) bool { return scores[docs[i]] > scores[docs[j]] })
	if len(docs) > limit {
		docs = docs[:limit]
	}
	return docs
}
