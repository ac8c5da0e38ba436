package config_test

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/config"
)

func ExampleConfig_View() {
	c, err := config.Parse("strongswan.conf", `
libimcv {
  debug_level = often
  plugins {
    imc-os {
      push_info = no
    }
  }
}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	v := c.View("charon", "libimcv")
	fmt.Println(v.Bool("plugins.imc-os.push_info", true))
	fmt.Println(c.View("charon.imcv", "libimcv").Int("debug_level", 1))
	for _, w := range c.Warnings() {
		fmt.Println(w)
	}
	// Output:
	// false
	// 1
	// strongswan.conf:3: debug_level = "often": not a number; the default applies
}
