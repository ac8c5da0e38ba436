package main

import (
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
	table "github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// sandbox returns how strongswan.conf wants the processes of IMCs confined: the
// file that env names to them. One that cannot be read sets nothing; the IMCs say
// what is wrong with it.
func sandbox(env []string) dlimc.Sandbox {
	file := config.DefaultFile
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, config.Env+"="); ok && path != "" {
			file = path
		}
	}
	if strings.HasPrefix(file, "/dev/fd/") || strings.HasPrefix(file, "/proc/self/fd/") {
		return dlimc.Sandbox{} // it may be read once only, by the IMC
	}
	cfg, err := config.Load(file)
	if err != nil {
		return dlimc.Sandbox{}
	}
	s := dlimc.Sandbox{
		Level:     dlimc.SandboxLevel(table.Sandbox.In(cfg)),
		Levels:    map[string]dlimc.SandboxLevel{},
		Memory:    uint64(table.IMCMemory.In(cfg)) << 20,
		Processes: table.IMCProcesses.In(cfg),
		TPM:       table.TCTIName.In(cfg),
		Shown:     cfg.View(table.Sections...).List(table.MeasureAllow.Key()),
	}
	if opts := table.TCTIOpts.In(cfg); opts != "" {
		s.TPM += ":" + opts
	}
	imcs := cfg.View("tnc.imc")
	for _, name := range imcs.Sections("") {
		s.Levels[name] = dlimc.SandboxLevel(table.SandboxOfIMC.At(imcs.Below(name)))
	}
	return s
}
