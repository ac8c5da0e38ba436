package pts_test

import (
	"context"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// oneFile measures a single file, without touching the file system.
type oneFile struct{}

func (oneFile) Measure(_ context.Context, path string, directory bool, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	h, ok := alg.New()
	if path != "/etc/hello" || directory || !ok {
		return nil, pts.ErrNotFound
	}
	h.Write([]byte("hello\n"))
	return []pts.MeasuredFile{{Name: "hello", Measurement: h.Sum(nil)}}, nil
}

func (oneFile) Metadata(context.Context, string, bool) ([]pts.FileMetadata, error) {
	return nil, pts.ErrNotFound
}

func (oneFile) Symlinks(context.Context, string) ([]patnc.Symlink, error) { return nil, nil }

// A Machine answers what a verifier asks: here to agree on an algorithm, and
// then for the digests of two files, of which the second does not exist.
func ExampleMachine() {
	m := pts.NewMachine(pts.Config{Measurer: oneFile{}})
	defer m.Close()
	for _, request := range []patnc.Value{
		pts.MeasurementAlgorithm{Algorithms: pts.SHA1 | pts.SHA256},
		pts.RequestFileMeasurement{RequestID: 1, Delimiter: pts.DelimiterSlash, Path: "/etc/hello"},
		pts.RequestFileMeasurement{RequestID: 2, Delimiter: pts.DelimiterSlash, Path: "/etc/other"},
	} {
		answers, err := m.Handle(context.Background(), request)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, a := range answers {
			switch v := a.Value.(type) {
			case pts.MeasurementAlgorithmSelection:
				fmt.Println("algorithm:", v.Algorithm)
			case pts.FileMeasurement:
				fmt.Printf("request %d: %s %x…\n", v.RequestID, v.Files[0].Name, v.Files[0].Measurement[:8])
			case patnc.Error:
				info, err := pts.ParseErrorInfo(v)
				fmt.Println("error:", info, err)
			}
		}
	}
	// Output:
	// algorithm: HASH_SHA2_256
	// request 1: hello 5891b5b522d5df08…
	// error: File Not Found '/etc/other' <nil>
}
