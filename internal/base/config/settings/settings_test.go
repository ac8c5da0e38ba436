package settings

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
)

var update = flag.Bool("update", false, "write docs/settings.md")

const (
	root   = "../../../.."
	folder = "internal/base/config/settings"
)

// docs/settings.md is what the table says.
func TestReference(t *testing.T) {
	const file = root + "/docs/settings.md"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(Reference()), 0o644))
	}
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, Reference(), string(b), "go test ./"+folder+" -update writes it")
}

// Each name is there once, each entry says what it is.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All() {
		require.Regexp(t, `^[A-Z].*\.$`, s.Doc, s.Key)
		require.NotEmpty(t, s.Type, s.Key)
		require.NotContains(t, Reference(), "| ||")
		for _, n := range s.Names {
			require.False(t, seen[n], "%s is there twice", n)
			seen[n] = true
			_, unread := whyUnread(n)
			require.False(t, unread, "%s is read", n)
		}
	}
	require.Greater(t, len(seen), 100)
}

// source is one file of the module that is no test.
type source struct {
	path string // below the module's root
	file *ast.File
}

func sources(t *testing.T) (out []source) {
	t.Helper()
	set := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "testdata" || len(name) > 2 && name[0] == '.') {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, 0)
		rel, _ := filepath.Rel(root, path)
		out = append(out, source{filepath.ToSlash(rel), f})
		return err
	}))
	return out
}

// A setting that nobody reads is not in the table: each variable of it is used
// outside of this package, or fills a field of Charon that is.
func TestEachSettingHasAReader(t *testing.T) {
	read, fields := map[string]bool{}, map[string]bool{} // names of variables; of fields selected outside
	byField := map[string]string{}                       // variable of the table: field of Charon or TLS that it fills
	var variables []string
	for _, s := range sources(t) {
		inside := filepath.ToSlash(filepath.Dir(s.path)) == folder
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "settings" {
					read[n.Sel.Name] = !inside || read[n.Sel.Name]
				}
				if isCharon(n.X) {
					fields[n.Sel.Name] = !inside || fields[n.Sel.Name]
				}
			case *ast.KeyValueExpr: // of a literal in ReadCharon
				if k, ok := n.Key.(*ast.Ident); ok && inside {
					ast.Inspect(n.Value, func(v ast.Node) bool {
						if id, ok := v.(*ast.Ident); ok {
							byField[id.Name] = k.Name
						}
						return true
					})
				}
			case *ast.ValueSpec:
				for i, v := range n.Values {
					if call, ok := v.(*ast.CallExpr); ok && inside && ast.IsExported(n.Names[i].Name) {
						if _, ok := call.Fun.(*ast.SelectorExpr); ok {
							variables = append(variables, n.Names[i].Name)
						}
					}
				}
			}
			return true
		})
	}
	require.Len(t, variables, len(All()), "every entry of the table is a variable")
	byField["FragmentSize"] = "FragmentSizeV4" // its default
	for _, v := range variables {
		require.True(t, read[v] || fields[byField[v]], "nothing reads %s", v)
	}
}

// isCharon reports whether x is a Charon, as code calls it, or its field TLS.
func isCharon(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "charon"
	case *ast.SelectorExpr:
		return x.Sel.Name == "Charon" || x.Sel.Name == "charon" || x.Sel.Name == "TLS" && isCharon(x.X)
	}
	return false
}

// Nothing is read but through the table: no key is written out where values are
// looked up.
func TestNoKeyIsReadWithoutTheTable(t *testing.T) {
	key := regexp.MustCompile(`^"[a-z0-9_-]+(\.[a-z0-9_-]+)*"$`)
	readers := map[string]int{"String": 2, "Bool": 2, "Int": 2, "IntIn": 4, "Float": 2, "Duration": 2}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.path, "internal/") || strings.HasPrefix(s.path, "tpm/") {
			continue // swanctl.conf and ipsec.conf have tables of their own
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || len(call.Args) < 2 || readers[sel.Sel.Name] != len(call.Args) {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && key.MatchString(lit.Value) {
				t.Errorf("%s reads %s beside the table", s.path, lit.Value)
			}
			return true
		})
	}
}

// What has no effect is named with its place, and nothing else.
func TestCheck(t *testing.T) {
	cfg := parse(t, `charon {
  port = 500
  threads = 16
  retransmit_trys = 3
  load_modular = yes
  filelog {
    log {
      path = /tmp/log
    }
  }
  imcv { os_info { name = Debian
  } }
  tls { cipher = aes
    version_max = 1.3
  }
  plugins {
    aes { load = yes
    }
    eap-ttls { load = yes
      phase2_method = md5
      max_message_count = 5
      max_mesage_count = 5
    }
    eap-tls { max_message_count = 3
    }
    resolve { load = no
    }
    kernel-netlink { load = no
      fwmark = !0x42
    }
    imc-attestation { hash_algoritm = sha256
      hash_algorithm = sha256
    }
    imc-scanner { push_info = yes
    }
  }
}
charon-systemd { anything = 1
  retransmit_tries = 2
}
pki { load = x509
}
tnc { mutual { required = yes
    files { sshd { path = /usr/sbin/sshd
        digest = 00
        size = 3
    } }
  }
}
libimcv { debug_level = 3
  database = sqlite:///x
  plugins { imv-os { remediation_uri = x
    } }
}
`)
	var got []string
	for _, e := range Check(cfg) {
		got = append(got, e.Error())
	}
	require.ElementsMatch(t, []string{
		"strongswan.conf:3: setting charon.threads of strongSwan does nothing here: there is no such pool or table",
		`strongswan.conf:4: setting "retransmit_trys" is not known in charon; is "retransmit_tries" meant?`,
		"strongswan.conf:5: setting charon.load_modular of strongSwan does nothing here: there are no plugins to load",
		"strongswan.conf:8: setting charon.filelog.log.path of strongSwan does nothing here: what is logged follows the flags -v and --log, and goes to stderr",
		"strongswan.conf:13: setting charon.tls.cipher of strongSwan does nothing here: Go's crypto/tls decides",
		"strongswan.conf:20: setting charon.plugins.eap-ttls.phase2_method of strongSwan does nothing here: only a gateway has it",
		`strongswan.conf:22: setting "max_mesage_count" is not known in charon.plugins.eap-ttls; is "max_message_count" meant?`,
		"strongswan.conf:28: setting charon.plugins.kernel-netlink.load of strongSwan does nothing here: there are no plugins to load",
		"strongswan.conf:29: setting charon.plugins.kernel-netlink.fwmark does nothing here: there is no plugin kernel-netlink",
		`strongswan.conf:31: setting "hash_algoritm" is not known in charon.plugins.imc-attestation; is "hash_algorithm" meant?`,
		`strongswan.conf:46: setting "size" is not known in tnc.mutual.files.sshd: take it out`,
		"strongswan.conf:39: setting charon-systemd.retransmit_tries is not in force: it is for the program charon-systemd; write it into charon",
		"strongswan.conf:51: setting libimcv.database of strongSwan does nothing here: only a verifier has it",
		"strongswan.conf:52: setting libimcv.plugins.imv-os.remediation_uri of strongSwan does nothing here: only a verifier has it",
	}, got)
	require.Empty(t, Check(config.New()))
	require.Empty(t, cfg.Warnings())
}

// A value that cannot be used is a warning, whoever reads the setting.
func TestCheckOfValues(t *testing.T) {
	cfg := parse(t, `charon { keep_alive = soon
  retransmit_base = 0.5
  plugins { eap-ttls { max_message_count = many
      include_length = perhaps
    }
    imc-os { push_info = 3
    }
  }
}
`)
	require.Empty(t, Check(cfg))
	require.Len(t, cfg.Warnings(), 5)
}

// A value that a section inherits is named once.
func TestCheckOfInheritedValues(t *testing.T) {
	cfg := parse(t, "base { threads = 3\n}\ncharon : base {\n}\ntnc : base {\n}\n")
	require.Len(t, Check(cfg), 1)
}

// A setting of an IMC has the same value by all roads.
func TestNames(t *testing.T) {
	cfg := parse(t, `charon { imcv { os_info { name = A
 } }
 plugins { imc-os { push_info = no
 } } }
libimcv { os_info { name = B
   version = 2
 } }
tnc { mutual { files { x { path = /x
} } } }
`)
	require.Equal(t, "A", OSName.In(cfg))
	require.Equal(t, "2", OSVersion.In(cfg))
	require.False(t, PushInfo.In(cfg))
	require.False(t, PushInfo.Read(cfg.View(Sections...)))
	require.Equal(t, "/x", MutualFilePath.At(cfg.View("tnc.mutual.files.x")))
	require.Equal(t, "imcv.os_info.name", OSName.Key())
	s, ok := known("libimcv.os_info.version")
	require.True(t, ok)
	require.Equal(t, "imcv.os_info.version", s.Key)
}

func TestParseHandle(t *testing.T) {
	for in, want := range map[string]uint32{"0x81010003": 0x81010003, "81010001": 0x81010001, " 0X8101FFFF ": 0x8101FFFF, "2": 2} {
		got, err := ParseHandle(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "0x", "zz", "0x181010003"} {
		_, err := ParseHandle(bad)
		require.Error(t, err)
	}
}

// A text that its readers cannot use is a complaint with what it must be; one of
// each kind that they can use is none.
func TestCheckOfTexts(t *testing.T) {
	good := map[string][]string{
		"preferred_language": {"de", "de, en-GB;q=0.8, *"}, "hash": {"sha384"}, "force": {"deny"},
		"path": {"/usr/sbin/sshd"}, "hash_algorithm": {"sha512"}, "aik_handle": {"0x81010003", "81010003"}, "device_handle": {"0x81010004"},
		"pcr17_meas": {strings.Repeat("aB", 20)}, "dh_groups": {"ecp256 MODP2048, ecp521"}, "ima_saved": {"/var/a,/var/b"}, "language": {"de", "en-GB"},
		"name": {"swtpm"}, "measure_allow": {"/etc/* /usr/**, /a[!b]"}, "measure_deny": {"/"}, "measure_max_files": {"10000000"},
		"measure_max_bytes": {"68719476736"}, "measure_max_seconds": {"1"},
	}
	bad := map[string][]string{
		"measure_max_files": {"0", "-1", "10000001", "many"}, "measure_max_seconds": {"86401"}, "measure_deny": {"etc", "/etc/ ..", "/a/../b", "/[a"},
		"aik_handle": {"0x", "0x181010003"}, "pcr18_after": {"00", "zz"}, "language": {"de_DE", "deutsch-"}, "preferred_language": {"de;en"},
	}
	n := 0
	for _, s := range All() {
		if s.problem == nil {
			continue
		}
		n++
		name := strings.ReplaceAll(s.Names[0], "<name>", "foo")
		path := strings.Split(name, ".")
		key := path[len(path)-1]
		says := func(text string) []*config.Error {
			sections := path[:len(path)-1]
			return Check(parse(t, strings.Join(sections, " {\n")+" {\n"+key+" = "+text+"\n"+strings.Repeat("}\n", len(sections))))
		}
		for _, text := range good[key] {
			require.Empty(t, says(text), "%s = %s", name, text)
		}
		for _, text := range append(bad[key], "not/this!") {
			require.Len(t, says(text), 1, "%s = %s", name, text)
			require.Contains(t, says(text)[0].Error(), key+" = "+strconv.Quote(text)+" cannot be used: ")
		}
		require.Empty(t, says(""), name)
	}
	require.Greater(t, n, 20)
}

func TestWords(t *testing.T) {
	require.Nil(t, Words(" ,\n"))
	require.Equal(t, []string{"/var/lib/ima/1", "/var/lib/ima/2", "/x", "/y"}, Words("/var/lib/ima/1 /var/lib/ima/2,/x\n\t/y"))
}
