package packages

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// A reader of SQLite 3 databases, as much as rpm's needs: it walks the tables of
// a file (the file format is documented at sqlite.org/fileformat2.html) and
// takes no locks. It does not read the write-ahead log.

// maxSQLiteDepth bounds the levels of a table.
const maxSQLiteDepth = 20

var errSQLite = errors.New("SQLite database is damaged")

type sqliteDB struct {
	r        io.ReaderAt
	pageSize int
	usable   int // octets of a page without its reserved end
	left     int // pages that may still be looked at: a damaged tree may lead in circles
}

// openSQLite reads the header of a database of the given number of octets.
func openSQLite(r io.ReaderAt, octets int64) (*sqliteDB, error) {
	var h [100]byte
	if err := readAt(r, h[:], 0); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(h[16:]))
	if size == 1 {
		size = 65536
	}
	db := &sqliteDB{r: r, pageSize: size, usable: size - int(h[20])}
	if string(h[:16]) != "SQLite format 3\x00" || size < 512 || size&(size-1) != 0 || db.usable < 480 || binary.BigEndian.Uint32(h[56:]) != 1 {
		return nil, fmt.Errorf("%w: no header of a UTF-8 database", errSQLite)
	}
	// Each page belongs to one place; overflow pages are read twice at most.
	db.left = 4*int(octets/int64(size)) + 16
	return db, nil
}

// page returns page n, which count from 1.
func (db *sqliteDB) page(n uint32) ([]byte, error) {
	if db.left--; n == 0 || db.left < 0 {
		return nil, errSQLite
	}
	b := make([]byte, db.pageSize)
	return b, readAt(db.r, b, int64(n-1)*int64(db.pageSize))
}

// sqliteRow is a cell of a table leaf.
type sqliteRow struct {
	db       *sqliteDB
	size     int    // octets of the record
	local    []byte // what of it lies in the leaf
	overflow uint32 // page with the rest, 0 = none
}

type sqliteValue struct {
	integer int64
	octets  []byte // of text or a blob, cut to what was asked for
}

// Kinds of b-tree pages of tables.
const (
	sqliteInterior = 5
	sqliteLeaf     = 13
)

// rows calls visit with each row of the table with the given root page.
func (db *sqliteDB) rows(ctx context.Context, root uint32, visit func(sqliteRow) error) error {
	return db.walk(ctx, root, 0, visit)
}

func (db *sqliteDB) walk(ctx context.Context, n uint32, depth int, visit func(sqliteRow) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := db.page(n)
	if err != nil {
		return err
	}
	head := 0
	if n == 1 {
		head = 100
	}
	kind, cells := b[head], int(binary.BigEndian.Uint16(b[head+3:]))
	size := 8
	if kind == sqliteInterior {
		size = 12
	} else if kind != sqliteLeaf {
		return errSQLite
	}
	if depth >= maxSQLiteDepth || head+size+2*cells > db.usable {
		return errSQLite
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(b[head+size+2*i:]))
		if at+4 > db.usable {
			return errSQLite
		}
		cell := b[at:db.usable]
		if kind == sqliteInterior {
			if err := db.walk(ctx, binary.BigEndian.Uint32(cell), depth+1, visit); err != nil {
				return err
			}
			continue
		}
		row, err := db.cell(cell)
		if err != nil {
			return err
		}
		if err := visit(row); err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return db.walk(ctx, binary.BigEndian.Uint32(b[head+8:]), depth+1, visit)
	}
	return nil
}

// cell reads a cell of a table leaf: varint size | varint rowid | record, the end
// of a long one in a chain of overflow pages.
func (db *sqliteDB) cell(b []byte) (sqliteRow, error) {
	size, n := varint(b)
	if n == 0 || size > math.MaxInt32 {
		return sqliteRow{}, errSQLite
	}
	b = b[n:]
	if _, n = varint(b); n == 0 {
		return sqliteRow{}, errSQLite
	}
	b = b[n:]
	row := sqliteRow{db: db, size: int(size)}
	local := row.size
	if most := db.usable - 35; row.size > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (row.size-least)%(db.usable-4); local > most {
			local = least
		}
		if len(b) < local+4 {
			return row, errSQLite
		}
		row.overflow = binary.BigEndian.Uint32(b[local:])
	}
	if len(b) < local {
		return row, errSQLite
	}
	row.local = b[:local]
	return row, nil
}

// record returns at most limit octets of the record.
func (row sqliteRow) record(limit int) ([]byte, error) {
	out := append([]byte(nil), row.local[:min(limit, len(row.local))]...)
	next := row.overflow
	for want := min(limit, row.size); len(out) < want; {
		b, err := row.db.page(next)
		if err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(b)
		part := b[4:row.db.usable]
		out = append(out, part[:min(len(part), want-len(out))]...)
	}
	return out, nil
}

// columns decodes a record whose first limit octets are read:
//
//	varint size of the header | varint type of each column | values
func (row sqliteRow) columns(limit int) ([]sqliteValue, error) {
	b, err := row.record(limit)
	if err != nil {
		return nil, err
	}
	size, n := varint(b)
	if n == 0 || size < uint64(n) || size > uint64(len(b)) {
		return nil, errSQLite
	}
	types, values := b[n:size], b[size:]
	var out []sqliteValue
	for len(types) > 0 {
		t, n := varint(types)
		if n == 0 {
			return nil, errSQLite
		}
		types = types[n:]
		length := uint64(0)
		switch {
		case t >= 12:
			length = (t - 12) / 2
		case t == 5:
			length = 6
		case t == 6 || t == 7:
			length = 8
		case t <= 4:
			length = t
		}
		value := values[:min(length, uint64(len(values)))]
		values = values[len(value):]
		var v sqliteValue
		switch {
		case t >= 12:
			v.octets = value
		case t == 9:
			v.integer = 1
		case t <= 6:
			for i, c := range value {
				if v.integer = v.integer<<8 | int64(c); i == 0 {
					v.integer = int64(int8(c))
				}
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// table returns the root page of a table, from the schema that begins on page 1:
// type, name, table name, root page, SQL.
func (db *sqliteDB) table(ctx context.Context, name string) (uint32, error) {
	var root uint32
	err := db.rows(ctx, 1, func(row sqliteRow) error {
		c, err := row.columns(1 << 16)
		if err != nil {
			return err
		}
		if len(c) >= 4 && string(c[0].octets) == "table" && string(c[1].octets) == name && c[3].integer > 0 && c[3].integer <= math.MaxUint32 {
			root = uint32(c[3].integer)
		}
		return nil
	})
	if err == nil && root == 0 {
		err = fmt.Errorf("%w: no table %s", errSQLite, name)
	}
	return root, err
}

// varint reads a big-endian base-128 integer of at most 9 octets; n is 0 where it
// is cut short.
func varint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7F)
		if n++; b[n-1] < 0x80 {
			return v, n
		}
	}
	if n == 8 && len(b) > 8 {
		return v<<8 | uint64(b[8]), 9
	}
	return 0, 0
}
