package dlimc

import (
	"fmt"
	"os"
	"strings"
)

// setEnvironment sets the variables of Config.Env in this process, and
// STRONGSWAN_CONF for one of strongSwan's IMCs, until done is called: IMCs read
// both in TNC_IMC_Initialize. The mutex opening is held.
func setEnvironment(e Entry, cfg Config) (done func(), err error) {
	env := cfg.Env
	if env == nil {
		env = os.Environ()
	}
	want := map[string]string{}
	for _, v := range cfg.Env {
		if name, value, ok := strings.Cut(v, "="); ok && name != "" {
			want[name] = value // the last one counts
		}
	}
	for name, value := range want {
		if is, ok := getenv(name); ok && is == value {
			delete(want, name)
		}
	}
	var conf *os.File
	if usesLibimcv(e.Path) {
		if conf, err = memoryFile("strongswan.conf", strongswanConf(e.Path, userConf(e.Path, env), cfg.Logger)); err != nil {
			return nil, err
		}
		want[confEnv] = fmt.Sprintf("/proc/self/fd/%d", conf.Fd())
	}
	var back []func()
	done = func() {
		for _, f := range back {
			f()
		}
		conf.Close() // of nil: an error that says so
	}
	for name, value := range want {
		before, set := getenv(name)
		if err := os.Setenv(name, value); err != nil {
			done()
			return nil, err
		}
		back = append(back, func() {
			if set {
				_ = os.Setenv(name, before)
			} else {
				_ = os.Unsetenv(name)
			}
		})
	}
	return done, nil
}
