package profile

import (
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/secrets"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// checkSandbox returns an error with its place for a level of tnc.imc that is none.
func checkSandbox(sc *config.Config) error {
	levels := []dlimc.SandboxLevel{dlimc.SandboxStrict, dlimc.SandboxReadonly, dlimc.SandboxOff}
	imcs := sc.View("tnc.imc")
	views := []config.View{imcs}
	for _, name := range imcs.Sections("") {
		views = append(views, imcs.Below(name))
	}
	for _, v := range views {
		val, ok := v.Lookup("sandbox")
		if ok && val.Text != "" && !slices.Contains(levels, dlimc.SandboxLevel(val.Text)) {
			return val.Errorf("sandbox = %s: use strict, readonly or off: no IMC is loaded with another word", strconv.Quote(text.Clip(val.Text, 64)))
		}
	}
	return nil
}

// sandbox returns how the processes of IMCs are confined: they see no secret of
// the connections, and reach the TPM.
func (p *Profile) sandbox() dlimc.Sandbox {
	sc := p.Strongswan
	s := dlimc.Sandbox{
		Level:     dlimc.SandboxLevel(settings.Sandbox.In(sc)),
		Levels:    settings.OfIMCs[dlimc.SandboxLevel](settings.SandboxOfIMC, sc),
		Memory:    uint64(settings.IMCMemory.In(sc)) << 20,
		Processes: settings.IMCProcesses.In(sc),
		TPM:       settings.TCTI(sc),
		Shown:     sc.View(settings.Sections...).List(settings.MeasureAllow.Key()),
	}
	if p.Swanctl == nil {
		return s
	}
	for _, folder := range secrets.Swanctl {
		dir, ok := p.Swanctl.Folders[folder]
		if !ok {
			dir = filepath.Join(p.Swanctl.Dir, folder)
		}
		s.Hidden = append(s.Hidden, dir)
	}
	s.Hidden = append(s.Hidden, p.Swanctl.File)
	if p.Swanctl.Folders != nil { // of ipsec.conf
		secrets := settings.SecretsFile.In(sc)
		if secrets == "" {
			secrets = filepath.Join(filepath.Dir(p.Swanctl.File), "ipsec.secrets")
		}
		s.Hidden = append(s.Hidden, secrets)
	}
	return s
}
