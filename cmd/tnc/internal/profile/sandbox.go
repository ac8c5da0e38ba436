package profile

import (
	"path/filepath"

	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// privateFolders are those of swanctl.conf's credentials that hold secrets.
var privateFolders = []string{"private", "rsa", "ecdsa", "pkcs8", "pkcs12", "conf.d"}

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
	for _, folder := range privateFolders {
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
