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
	return dlimc.Sandbox{
		Level:     dlimc.SandboxLevel(table.Sandbox.In(cfg)),
		Levels:    table.OfIMCs[dlimc.SandboxLevel](table.SandboxOfIMC, cfg),
		Memory:    uint64(table.IMCMemory.In(cfg)) << 20,
		Processes: table.IMCProcesses.In(cfg),
		TPM:       table.TCTI(cfg),
		Shown:     cfg.View(table.Sections...).List(table.MeasureAllow.Key()),
	}
}
