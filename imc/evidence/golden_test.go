package evidence

import (
	"bufio"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// The logs and PCRs of machines with SeaBIOS, Debian 12's kernel and IMA policy
// tcb, recorded by `GOTNC_VMTEST=1 go test ./internal/interop/vm -update`.
func TestRecordedMachines(t *testing.T) {
	for _, c := range []struct {
		dir, aggregate string
		own            pts.HashAlgorithms
		events         int
		padded         []pts.HashAlgorithms // that this kernel cannot compute
	}{
		{"tpm1.2", "correct over PCR0..PCR7", pts.SHA1, 13, nil},
		{"tpm2.0", "correct over PCR0..PCR9", pts.SHA256, 13, []pts.HashAlgorithms{pts.SHA384, pts.SHA512}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			dir := filepath.Join("testdata", c.dir)
			cfg := Config{BIOSLog: filepath.Join(dir, "bios"), IMALog: filepath.Join(dir, "ima")}
			banks := recordedPCRs(t, filepath.Join(dir, "pcrs.txt"))
			require.Contains(t, banks, c.own)
			require.Equal(t, c.own, New(cfg).Algorithm())
			for alg, values := range banks {
				r, err := Inspect(context.Background(), cfg, alg, values)
				require.NoError(t, err)
				require.Nil(t, r.Difference, "%v", alg)
				require.True(t, *r.Matches)
				require.Equal(t, c.aggregate, r.BootAggregate)
				require.Equal(t, c.events, r.Components[0].Entries)
				require.Equal(t, 1, r.Components[1].Violation)
				require.Greater(t, r.Components[1].Templates["ima-sig"], 40)
				padded := false
				for _, p := range c.padded {
					padded = padded || p == alg
				}
				require.Equal(t, padded, len(r.Notes) == 1, "%v: %v", alg, r.Notes)

				at := pts.Bank{Algorithm: alg, TPM: bankTPM{values: values}}
				col := New(cfg)
				require.NoError(t, col.Collect(context.Background(), imaName(qualifierTrusted), at))
				require.NoError(t, col.Collect(context.Background(), imaName(qualifierOS), at))
				require.True(t, settle(t, col, values))
				b, all := replay(t, col.Drain(), alg.Bank(), 0)
				for i, v := range values {
					if b.Touched().Has(i) {
						require.Equal(t, v, b.Value(uint32(i)), "PCR %d", i)
					}
				}
				require.Contains(t, all[c.events].PolicyURI, ":boot_aggregate")
			}
		})
	}
}

var recordedBanks = map[string]pts.HashAlgorithms{
	"HASH_SHA1": pts.SHA1, "HASH_SHA2_256": pts.SHA256, "HASH_SHA2_384": pts.SHA384, "HASH_SHA2_512": pts.SHA512,
}

func recordedPCRs(t *testing.T, name string) map[pts.HashAlgorithms]pcr.Values {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	out := map[pts.HashAlgorithms]pcr.Values{}
	for s := bufio.NewScanner(f); s.Scan(); {
		p := strings.Fields(s.Text()) // pcr BANK INDEX VALUE
		require.Len(t, p, 4)
		alg := recordedBanks[p[1]]
		if out[alg] == nil {
			out[alg] = pcr.Values{}
		}
		i, err := strconv.ParseUint(p[2], 10, 8)
		require.NoError(t, err)
		out[alg][int(i)], err = hex.DecodeString(p[3])
		require.NoError(t, err)
	}
	return out
}
