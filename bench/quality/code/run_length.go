package codec

import (
	"bytes"
	"errors"
)

var ErrTruncated = errors.New("runlength: truncated input")

const maxRun = 255

// Encode writes pairs of count and byte.
func Encode(src []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(src); {
		run := 1
		for i+run < len(src) && run < maxRun && src[i+run] == src[i] {
			run++
		}
		out.WriteByte(byte(run))
		out.WriteByte(src[i])
		i += run
	}
	return out.Bytes()
}

func Decode(src []byte) ([]byte, error) {
	if len(src)%2 != 0 {
		return nil, ErrTruncated
	}
	var out bytes.Buffer
	for i := 0; i < len(src); i += 2 {
		out.Write(bytes.Repeat(src[i+1:i+2], int(src[i])))
	}
	return out.Bytes(), nil
}

// Worthwhile reports whether encoding makes the input smaller.
func Worthwhile(src []byte) bool {
	return len(Encode(src)) < len(src)
}
