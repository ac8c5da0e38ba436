package packages

import (
	"context"
	"io"
)

// rpmFromSQLite reads the table Packages (hnum INTEGER PRIMARY KEY, blob BLOB).
func rpmFromSQLite(ctx context.Context, r io.ReaderAt, octets int64) (list, error) {
	db, err := openSQLite(r, octets)
	if err != nil {
		return nil, err
	}
	root, err := db.table(ctx, "Packages")
	if err != nil {
		return nil, err
	}
	var found list
	err = db.rows(ctx, root, func(row sqliteRow) error {
		for _, limit := range [...]int{rpmPrefix, maxRPMHeader} {
			columns, err := row.columns(limit)
			if err != nil {
				return err
			}
			if len(columns) < 2 {
				return errRPM
			}
			more, err := found.addHeader(columns[1].octets)
			if !more || err != nil {
				return err
			}
		}
		return errRPM
	})
	return found, err
}
