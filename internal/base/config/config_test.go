package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.conf", text)
	require.NoError(t, err)
	return c
}

func get(t *testing.T, c *Config, key string) string {
	t.Helper()
	v, ok := c.Lookup(key)
	require.True(t, ok, "%s is set", key)
	return v.Text
}

func TestGrammar(t *testing.T) {
	c := parse(t, `# the example of strongswan.conf(5)
a = b
section-one {
	somevalue = asdf   # a comment
	subsection {
		othervalue = xxx
	}
	# yei, a comment
	yetanother = zz
}
section-two { x = 12 }
s3
{
  load = random nonce   openssl
  one { k = {v}
  url = unix://run/x.vici:8080,a=b
  crlf = yes`+"\r"+`
  str = "a  b" c "# } no comment"
  esc = "tab\there\nquote\" back\\ \x join\
ed"
  multi = "line one
line two"
  empty = ""
  cleared =
}
include_me = 1
include = 2
`)
	for key, want := range map[string]string{
		"a": "b", "section-one.somevalue": "asdf", "section-one.subsection.othervalue": "xxx",
		"section-one.yetanother": "zz", "section-two.x": "12", "s3.load": "random nonce openssl",
		"s3.url": "unix://run/x.vici:8080,a=b", "s3.crlf": "yes", "s3.str": "a  b c # } no comment",
		"s3.esc": "tab\there\nquote\" back\\ x joined", "s3.multi": "line one\nline two", "s3.empty": "",
		"include_me": "1", "include": "2",
	} {
		require.Equal(t, want, get(t, c, key), key)
	}
	_, ok := c.Lookup("s3.cleared")
	require.False(t, ok)
	require.Equal(t, "{v", get(t, c, "s3.one.k"), "a value ends at '}', not at '{'")
	v, _ := c.Lookup("section-two.x")
	require.Equal(t, Pos{"test.conf", 11}, v.Pos)
	v, _ = c.Lookup("include")
	require.Equal(t, 27, v.Pos.Line, "escaped and quoted line ends count")
}

func TestSectionsExtendAndValuesAreReplaced(t *testing.T) {
	c := parse(t, "s { a = 1\n b = 2\n sub { x = 1\n } }\ns { b = 3\n c = 4\n sub { y = 2\n } }\n")
	n := c.Node("s")
	require.Equal(t, []string{"sub"}, n.Sections())
	var got []string
	for _, v := range n.Values() {
		got = append(got, v.Key+"="+v.Text)
	}
	require.Equal(t, []string{"a=1", "b=3", "c=4"}, got)
	require.Equal(t, "1", get(t, c, "s.sub.x"))
	require.Equal(t, "2", get(t, c, "s.sub.y"))
}

// The example of strongswan.conf(5) with values in it.
func TestReferences(t *testing.T) {
	c := parse(t, `
conn-defaults { version = 2
  local { auth = eap-ttls
    id = carol } }
eap-defaults { eap_id = %any
  version = 1 }
child-defaults { mode = tunnel
  esp = aes }
connections {
  conn-a : conn-defaults, eap-defaults {
    children { child-a : child-defaults { esp = gcm
    } }
  }
  conn-b : conn-defaults { version =
    local { id = dave
    } }
  conn-c : connections.conn-a { local { id = eve
  } }
}`)
	require.Equal(t, "2", get(t, c, "connections.conn-a.version"), "the first reference wins")
	require.Equal(t, "%any", get(t, c, "connections.conn-a.eap_id"))
	require.Equal(t, "carol", get(t, c, "connections.conn-a.local.id"))
	require.Equal(t, "gcm", get(t, c, "connections.conn-a.children.child-a.esp"))
	require.Equal(t, "tunnel", get(t, c, "connections.conn-a.children.child-a.mode"))
	_, ok := c.Lookup("connections.conn-b.version")
	require.False(t, ok, "an empty assignment clears what is inherited")
	require.Equal(t, "dave", get(t, c, "connections.conn-b.local.id"))
	require.Equal(t, "eap-ttls", get(t, c, "connections.conn-b.local.auth"))
	require.Equal(t, "eve", get(t, c, "connections.conn-c.local.id"))
	require.Equal(t, "tunnel", get(t, c, "connections.conn-c.children.child-a.mode"))
	require.Equal(t, "gcm", get(t, c, "connections.conn-c.children.child-a.esp"))
	require.Equal(t, []string{"local", "children"}, c.Node("connections.conn-c").Sections())
	require.Equal(t, "eve", c.Node("connections").Sub("conn-c").View().String("local.id", ""))
	require.False(t, c.Node("connections.none").Exists())
	require.Empty(t, c.Node("connections.none").Values())
}

func TestReferenceLoopsEnd(t *testing.T) {
	c := parse(t, "a : b { x = 1\n }\nb : a, c { y = 2\n }\nc : c, a.b { b : a { z = 3\n } }\n")
	require.Equal(t, "2", get(t, c, "a.y"))
	require.Equal(t, "1", get(t, c, "b.x"))
	_, ok := c.Lookup("a.nothing")
	require.False(t, ok)
	// many sections that all reference all others
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "s%d : ", i)
		for j := range 60 {
			fmt.Fprintf(&b, "s%d,", j)
		}
		b.WriteString("s0 { sub { k = 1\n } }\n")
	}
	start := time.Now()
	parse(t, b.String()).Lookup("s0.sub.none.x")
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestErrorsNameThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"a {\n b = 1\n":             `f.conf:1: section "a" is not closed: '}' is missing`,
		"a = 1\n}\n":                `f.conf:2: unexpected '}': no section is open in this file`,
		"a.b = 1\n":                 `f.conf:1: unexpected '.' after "a": names hold no dots, write nested sections`,
		"\n\na b = 1\n":             `f.conf:3: after "a" a '{' or '=' is missing: "b" follows`,
		"a":                         `f.conf:1: after "a" a '{' or '=' is missing: end of the file follows`,
		"\"x\" = 1":                 `f.conf:1: unexpected "\"": the name of a section or setting is expected`,
		"k = \"abc\n\n":             `f.conf:1: the string is not closed: '"' is missing`,
		"k = \"abc\\":               `f.conf:1: the string is not closed: '"' is missing`,
		"a : {\n}":                  `f.conf:1: unexpected "{": the name of the section that "a" inherits from is expected`,
		"a : b, {\n}":               `f.conf:1: unexpected "{": the name of the section that "a" inherits from is expected`,
		"a : b. {\n}":               `f.conf:1: unexpected " " in a reference of section "a"`,
		"a : b = 1":                 `f.conf:1: unexpected "=": ',' or '{' is expected after the references of section "a"`,
		"k = a\x00b":                `f.conf:1: unexpected NUL octet in a value`,
		"ü = é\nö } ":               `f.conf:2: after "ö" a '{' or '=' is missing: "}" follows`,
		strings.Repeat("a {\n", 65): `f.conf:65: more than 64 sections inside each other`,
	} {
		_, err := Parse("f.conf", text)
		var e *Error
		require.ErrorAs(t, err, &e, "%q", text)
		require.Equal(t, want, e.Error())
		require.Equal(t, "load configuration: "+want, err.Error())
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestIncludes(t *testing.T) {
	d := t.TempDir()
	top := write(t, d, "top.conf", "a = b\nsection-one {\n somevalue = before\n include include.conf # here\n}\ninclude conf.d/*.conf\ninclude \"sp ace.conf\"\ninclude none/*.conf\ninclude missing.conf\ninclude sp\\ ace2.conf\n")
	write(t, d, "include.conf", "somevalue = asdf\nsubsection { othervalue = yyy\n }\nyetanother = zz\n")
	write(t, d, "conf.d/2.conf", "section-one { subsection { othervalue = xxx\n } }\norder = 2\n")
	write(t, d, "conf.d/1.conf", "order = 1\ninclude ../deep.conf")
	write(t, d, "deep.conf", "deep = yes")
	write(t, d, "sp ace.conf", "space = 1")
	write(t, d, "sp ace2.conf", "space2 = 1")
	c, err := Load(top)
	require.NoError(t, err)
	require.Equal(t, "asdf", get(t, c, "section-one.somevalue"))
	require.Equal(t, "xxx", get(t, c, "section-one.subsection.othervalue"))
	require.Equal(t, "2", get(t, c, "order"))
	require.Equal(t, "yes", get(t, c, "deep"))
	require.Equal(t, "1", get(t, c, "space"))
	require.Equal(t, "1", get(t, c, "space2"))
	v, _ := c.Lookup("section-one.subsection.othervalue")
	require.Equal(t, filepath.Join(d, "conf.d/2.conf")+":1", v.Pos.String())
	require.Len(t, c.Files(), 7)
	require.Len(t, c.Warnings(), 1)
	require.Equal(t, top+":9: include "+filepath.Join(d, "missing.conf")+": no such file", c.Warnings()[0].Error())
}

func TestIncludeErrors(t *testing.T) {
	d := t.TempDir()
	loop := write(t, d, "loop.conf", "include loop.conf\n")
	_, err := Load(loop)
	require.ErrorContains(t, err, "does a file include itself?")
	bad := write(t, d, "bad.conf", "x {\n}\ninclude sub.conf\n")
	sub := write(t, d, "sub.conf", "\ny = \"\n")
	_, err = Load(bad)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, Pos{sub, 2}, e.Pos)
	_, err = Load(write(t, d, "dir.conf", "\ninclude "+d+"\n"))
	require.ErrorContains(t, err, "dir.conf:2: include "+d+": read "+d+": is a directory")
	_, err = Load(filepath.Join(d, "nope.conf"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Parse("x", "include \n")
	require.ErrorContains(t, err, "x:1: include names no file")
	// sixteen includes of the same file in every file: stopped by the number of files
	_, err = Load(write(t, d, "wide.conf", "include [w]ide.conf\ninclude wid[e].conf\n"))
	require.Error(t, err)
}

func TestLoadDefault(t *testing.T) {
	d := t.TempDir()
	t.Setenv(Env, write(t, d, "s.conf", "charon { port = 0\n}"))
	c, err := LoadDefault()
	require.NoError(t, err)
	require.Equal(t, "0", get(t, c, "charon.port"))
	t.Setenv(Env, filepath.Join(d, "none.conf"))
	c, err = LoadDefault()
	require.NoError(t, err)
	require.Len(t, c.Warnings(), 1)
	t.Setenv(Env, write(t, d, "bad.conf", "}"))
	_, err = LoadDefault()
	require.Error(t, err)
}

func TestValues(t *testing.T) {
	v := func(s string) Value { return Value{Key: "k", Text: s, Pos: Pos{"f", 3}} }
	for s, want := range map[string]bool{"yes": true, "TRUE": true, "1": true, "Enabled": true, "no": false, "0": false, "false": false, "disabled": false} {
		got, err := v(s).Bool()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := v("maybe").Bool()
	require.EqualError(t, err, `f:3: k = "maybe": not yes or no`)
	for s, want := range map[string]int64{"0": 0, "010": 10, "0x81010003": 0x81010003, "0X10": 16, "-5": -5, "+5": 5, " 7": 7, "9223372036854775807": 1<<63 - 1} {
		got, err := v(s).Int()
		require.NoError(t, err, s)
		require.Equal(t, want, got)
	}
	for _, s := range []string{"", "x", "1 2", "0x", "--1", "1.5", "9223372036854775808", "+-1"} {
		_, err := v(s).Int()
		require.Error(t, err, s)
	}
	for s, want := range map[string]time.Duration{"30": 30 * time.Second, "30s": 30 * time.Second, "5 m": 5 * time.Minute, "4h": 4 * time.Hour, "1d": 24 * time.Hour, "0": 0, "30 sec": 30 * time.Second, "1h30m": time.Hour} {
		got, err := v(s).Duration()
		require.NoError(t, err, s)
		require.Equal(t, want, got)
	}
	for _, s := range []string{"", "s", "-1", "1w", "9223372036854775807d", "1.5"} {
		_, err := v(s).Duration()
		require.Error(t, err, s)
	}
	f, err := v("1.8").Float()
	require.NoError(t, err)
	require.InDelta(t, 1.8, f, 1e-9)
	for _, s := range []string{"", "NaN", "Inf", "1,8"} {
		_, err := v(s).Float()
		require.Error(t, err, s)
	}
	require.Equal(t, []string{"a", "b c"}, v(" a ,, b c, ").List())
}

func TestViewFallsBackThroughNamespaces(t *testing.T) {
	c := parse(t, `charon { plugins { imc-os { push_info = no
 } }
 imcv { debug_level = 2
 }
 n = many
 big = 70000
 cleared = }
libimcv { plugins { imc-os { push_info = yes
 device_id = x
 } imc-x { a = 1
 } }
 debug_level = 1
 cleared = 5 }
`)
	v := c.View("charon", "libimcv")
	require.False(t, v.Bool("plugins.imc-os.push_info", true))
	require.Equal(t, "x", v.String("plugins.imc-os.device_id", ""))
	require.Equal(t, "x", v.Below("plugins.imc-os").String("device_id", ""))
	require.Equal(t, []string{"imc-os", "imc-x"}, v.Sections("plugins"))
	require.EqualValues(t, 2, c.View("charon.imcv", "libimcv").Int("debug_level", 0))
	require.EqualValues(t, 7, v.Int("cleared", 7), "clearing a value ends the search: the default applies")
	require.EqualValues(t, 7, v.Int("n", 7))
	require.EqualValues(t, 7, v.Int("n", 7))
	require.EqualValues(t, 500, v.IntIn("big", 500, 0, 65535))
	require.EqualValues(t, 1.8, v.Float("none", 1.8))
	require.Equal(t, time.Minute, v.Duration("none", time.Minute))
	require.Nil(t, v.List("none"))
	require.Len(t, c.Warnings(), 2, "each is kept once")
	require.Equal(t, `test.conf:5: n = "many": not a number; the default applies`, c.Warnings()[0].Error())
	require.Equal(t, `test.conf:6: big = 70000: not between 0 and 65535; the default applies`, c.Warnings()[1].Error())
	require.Equal(t, "d", View{}.String("x", "d"))
}

// The configuration of the project's test peers.
func TestRigConfigurationLoads(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.conf")
	require.Len(t, files, 4)
	for _, f := range files {
		_, err := Load(f)
		require.NoError(t, err)
	}
	c, _ := Load("testdata/carol.strongswan.conf")
	require.Equal(t, "host=127.0.0.1,port=@TPM_PORT@", get(t, c, "charon.plugins.tpm.tcti.opts"))
	require.Equal(t, "!0x42", get(t, c, "charon.plugins.kernel-netlink.fwmark"))
	require.Equal(t, "@HASH@", c.View("charon", "libimcv").String("plugins.imc-attestation.hash_algorithm", "sha384"))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a = b\n", "a { b = c }", "a : b, c.d { x = \"y\\n\" }", "include x/*.conf\n", "# c\n\n", "k = \"\\", "a:b{", "include \"x"} {
		f.Add(s)
	}
	o := Options{
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("no files here") },
		Glob:     func(string) ([]string, error) { return nil, nil },
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := o.Parse("fuzz", text)
		if err != nil {
			return
		}
		var walk func(n *Node, depth int)
		walk = func(n *Node, depth int) {
			for _, v := range n.Values() {
				if v.Pos.Line < 1 || v.Pos.Line > strings.Count(text, "\n")+1 {
					t.Fatalf("%q: line %d", v.Key, v.Pos.Line)
				}
				_, _ = v.Int()
				_, _ = v.Duration()
			}
			if depth < 4 {
				for _, s := range n.Sections() {
					walk(n.Sub(s), depth+1)
				}
			}
		}
		walk(c.Node(""), 0)
	})
}
