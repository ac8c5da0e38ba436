package imc

import (
	"context"
	"strings"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// pushed lists what is sent unasked at BeginHandshake, in strongSwan's order.
var pushed = []patnc.Type{
	patnc.TypeProductInformation,
	patnc.TypeStringVersion,
	patnc.TypeNumericVersion,
	patnc.TypeOperationalStatus,
	patnc.TypeForwardingEnabled,
	patnc.TypeFactoryDefaultPassword,
	patnc.TypeITADeviceID,
}

// requestable holds what an Attribute Request may ask for.
var requestable = map[patnc.Type]bool{
	patnc.TypeProductInformation:     true,
	patnc.TypeStringVersion:          true,
	patnc.TypeNumericVersion:         true,
	patnc.TypeOperationalStatus:      true,
	patnc.TypeForwardingEnabled:      true,
	patnc.TypeFactoryDefaultPassword: true,
	patnc.TypeITADeviceID:            true,
	patnc.TypeInstalledPackages:      true,
	patnc.TypePortFilter:             true,
}

// maxSettings bounds the settings read for one request.
const maxSettings = 64

// platformAttributes asks the Platform for attributes; those that it does not know
// are left out.
func (a *Agent) platformAttributes(ctx context.Context, types []patnc.Type) []patnc.Attribute {
	var out []patnc.Attribute
	for _, t := range types {
		v, err := a.cfg.Platform.Attribute(ctx, t)
		if err != nil {
			log.Infof(a.log, "no %s available: %v", t.Name(), err)
			continue
		}
		a.logPlatform(v)
		out = append(out, patnc.Skip(v))
	}
	return out
}

// systems are the operating systems that strongSwan's log has a word for.
var systems = [...]string{"Debian", "Ubuntu", "Raspbian", "Fedora", "Red Hat", "CentOS", "SUSE", "Gentoo", "Android"}

// announcePlatform logs what imc-os logs when it is loaded.
func (a *Agent) announcePlatform(ctx context.Context) {
	v, err := a.cfg.Platform.Attribute(ctx, patnc.TypeProductInformation)
	product, ok := v.(patnc.ProductInformation)
	if err != nil || !ok {
		log.Infof(a.log, "operating system is not known: %v", err)
		return
	}
	system := "Unknown"
	for _, s := range systems {
		if strings.HasPrefix(strings.ToLower(product.Name), strings.ToLower(s)) {
			system = s
			break
		}
	}
	log.Infof(a.log, "operating system type is '%s'", system)
	log.Infof(a.log, "operating system name is '%s'", text.Escape(product.Name, maxPrinted))
	if v, err := a.cfg.Platform.Attribute(ctx, patnc.TypeStringVersion); err == nil {
		if s, ok := v.(patnc.StringVersion); ok {
			log.Infof(a.log, "operating system version is '%s'", text.Escape(s.Version, maxPrinted))
		}
	}
}

func (a *Agent) logPlatform(v patnc.Value) {
	switch v := v.(type) {
	case patnc.NumericVersion:
		log.Infof(a.log, "operating system numeric version is %d.%d", v.Major, v.Minor)
	case patnc.ForwardingStatus:
		log.Infof(a.log, "IPv4 forwarding is %v", v.Status)
	case patnc.FactoryDefaultPassword:
		state := "disabled"
		if v.Enabled {
			state = "enabled"
		}
		log.Infof(a.log, "factory default password is %s", state)
	case patnc.DeviceID:
		log.Infof(a.log, "device ID is %s", v.ID)
	case patnc.InstalledPackages:
		for _, p := range v.Packages {
			log.Detailf(a.log, "package '%s' (%s)", text.Escape(p.Name, maxPrinted), text.Escape(p.Version, maxPrinted))
		}
	}
}

// operatingSystem answers an Attribute Request and ITA-HSR's Get Settings.
// Nothing is sent that was not asked for (RFC 5792 section 4.2.1).
// What strongSwan's imc-os or imc-scanner answers in the same host is left to
// it: port filters under IETF/Firewall to imc-scanner, the rest to imc-os.
func (a *Agent) operatingSystem(ctx context.Context, v patnc.Value, t MessageType) []patnc.Attribute {
	if a.cfg.Platform == nil || t == TypeOperatingSystem && a.siblingLoaded("imc-os") || t == TypeFirewall && a.siblingLoaded("imc-scanner") {
		return nil
	}
	switch v := v.(type) {
	case patnc.AttributeRequest:
		var types []patnc.Type
		firewall := t == TypeFirewall
		seen := map[patnc.Type]bool{}
		for _, t := range v.Types {
			if requestable[t] && !seen[t] && (!firewall || t == patnc.TypePortFilter) {
				seen[t] = true
				types = append(types, t)
			}
		}
		return a.platformAttributes(ctx, types)
	case patnc.GetSettings:
		if t != TypeOperatingSystem {
			return nil
		}
		names := v.Names
		if len(names) > maxSettings {
			names = names[:maxSettings]
		}
		s := a.cfg.Platform.Settings(ctx, names)
		for _, v := range s {
			log.Infof(a.log, "setting '%s'", text.Escape(v.Name, maxPrinted))
		}
		if len(s) > 0 {
			return []patnc.Attribute{patnc.Skip(patnc.Settings{Settings: s})}
		}
	}
	return nil
}

// splitPackages divides a list of installed packages that fits no message of
// limit octets (0 = no limit) into several attributes; a verifier adds them up.
func splitPackages(as []patnc.Attribute, limit int) []patnc.Attribute {
	room := limit - patnc.MessageHeaderSize - patnc.AttributeHeaderSize - 4
	if limit == 0 || room <= 0 {
		return as
	}
	var out []patnc.Attribute
	for _, at := range as {
		v, ok := at.Value.(patnc.InstalledPackages)
		if !ok {
			out = append(out, at)
			continue
		}
		start, size := 0, 0
		for i, p := range v.Packages {
			n := 2 + len(p.Name) + len(p.Version)
			if size+n > room && i > start {
				out = append(out, patnc.Attribute{NoSkip: at.NoSkip, Value: patnc.InstalledPackages{Packages: v.Packages[start:i]}})
				start, size = i, 0
			}
			size += n
		}
		out = append(out, patnc.Attribute{NoSkip: at.NoSkip, Value: patnc.InstalledPackages{Packages: v.Packages[start:]}})
	}
	return out
}
