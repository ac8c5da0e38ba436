package key

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/aik"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

// Command returns the group of commands.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make keys that never leave the TPM, and get them certified",
		Long: `Makes keys for IKE and TLS in a TPM. The file of a key holds what only this TPM can load
("TSS2 PRIVATE KEY", as tpm2-openssl and others write it; "TSS KEY BLOB" of a TPM 1.2). Any CA certifies its
PKCS #10 request; a privacy CA that certified this TPM's attestation key can be shown
that the key is in the same TPM:

  here      tnc key create                      makes key.pem
  here      tnc key certify key.pem --name ...  makes key.request
  the CA    tnc aik issue key.request ...       checks the attestation key, makes key.crt`,
		Args: usage.Subcommand,
		RunE: report.HelpOnly,
	}
	cmd.AddCommand(newCreate(), newCSR(), newShow(), newCertify())
	return cmd
}

// flags adds the flags that all commands have.
func (k *Key) flags(cmd *cobra.Command) {
	aik.TPMFlags(cmd, &k.Device)
	cmd.Flags().StringVar(&k.PasswordFile, "password-file", "", "file whose first line is the key's password (default: none)")
}

// print writes what is shown as a table or as JSON.
func (s *Shown) print(cmd *cobra.Command, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
	}
	s.WriteTable(cmd.OutOrStdout())
	return nil
}

func newCreate() *cobra.Command {
	var o Create
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key that signs and never leaves the TPM",
		Long: `Makes a key under the owner's primary storage key and writes its file. With --persist
it is stored in the TPM too, for strongSwan's secrets { token }. A TPM 1.2 makes RSA keys under
its storage root key, in files alone.`,
		Example: `  sudo tnc key create --out /etc/swanctl/private/carol.pem
  sudo tnc key create --type ecc --bits 384 --pcrs sha256:0,2,7 --out carol.pem    # of this boot chain alone
  sudo tnc key create --persist 0x81010010 --json | jq -r .key_id`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = aik.Logger(cmd)
			s, err := o.Run(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(cmd, asJSON)
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Type, "type", "rsa", "rsa or ecc")
	f.IntVar(&o.Bits, "bits", 0, "of the RSA modulus (default 2048) or of the curve (default 256)")
	f.StringVar(&o.PCRs, "pcrs", "", "bank and PCRs that the key is bound to, as they are now, as in sha256:0,2,7 (default: none)")
	f.StringVar(&o.Parent, "parent", "", "persistent handle of the parent (default the owner's primary storage key, ECC P-256)")
	f.StringVar(&o.Persist, "persist", "", "store the key at this persistent handle too; auto is the first free one from 0x81010003")
	f.StringVar(&o.Out, "out", "key.pem", "file for the key")
	f.BoolVar(&o.Replace, "replace", false, "replace that file")
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}

func newShow() *cobra.Command {
	var k Key
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show KEY",
		Short: "Print what a key is, and its public key",
		Long:  "Loads the key, a file or a persistent handle, and prints its public key last, in PEM.",
		Example: `  sudo tnc key show key.pem
  sudo tnc key show 0x81010010 --json | jq -r .public_key`,
		Args: usage.OneFile("key.pem"),
		RunE: func(cmd *cobra.Command, args []string) error {
			k.Logger = aik.Logger(cmd)
			s, err := k.Show(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, asJSON)
		},
	}
	k.flags(cmd)
	usage.JSONFlag(cmd, &asJSON)
	return cmd
}

// Written is the outcome of csr and certify; `--json` prints it, its field names are
// an interface for scripts.
type Written struct {
	File string `json:"file"`
}

// requestFlags are those of csr and certify.
type requestFlags struct {
	Key
	names   Names
	out     string
	replace bool
	json    bool
}

func (o *requestFlags) add(cmd *cobra.Command, out string) {
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.names.Name, "name", "", "common name for the certificate")
	f.StringArrayVar(&o.names.SANs, "san", nil, "name beside it: of DNS, mail, IP or a URI; may be repeated")
	f.StringVar(&o.out, "out", out, "file for the request")
	f.BoolVar(&o.replace, "replace", false, "replace that file")
	usage.JSONFlag(cmd, &o.json)
}

func (o *requestFlags) written(cmd *cobra.Command, next string) error {
	if o.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(Written{o.out})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is written; %s\n", o.out, next)
	return err
}

func newCSR() *cobra.Command {
	var o requestFlags
	cmd := &cobra.Command{
		Use:     "csr KEY",
		Short:   "Make the PKCS #10 request of a key, for any CA",
		Long:    "Makes a certificate request that the key, a file or a persistent handle, signs.",
		Example: "  sudo tnc key csr key.pem --name carol --san carol@strongswan.org",
		Args:    usage.OneFile("key.pem"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logger = aik.Logger(cmd)
			if err := o.CSR(cmd.Context(), args[0], o.names, o.out, o.replace); err != nil {
				return err
			}
			return o.written(cmd, "send it to a CA")
		},
	}
	o.add(cmd, "key.csr")
	return cmd
}

func newCertify() *cobra.Command {
	var o requestFlags
	var aikCert string
	cmd := &cobra.Command{
		Use:   "certify KEY",
		Short: "Prove to a privacy CA that a key is in a TPM that it knows",
		Long: `Makes a request for ` + "`tnc aik issue`" + `: the key's PKCS #10 request, and a statement by
the TPM's attestation key that the key is in the same TPM and bound to it.`,
		Example: `  sudo tnc key certify key.pem --name carol --san carol@strongswan.org
  sudo tnc key certify 0x81010010 --aik-handle 0x81010003 --aik-cert aik.crt --name carol`,
		Args: usage.OneFile("key.pem"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logger = aik.Logger(cmd)
			if err := o.Certify(cmd.Context(), args[0], o.names, aikCert, o.out, o.replace); err != nil {
				return err
			}
			return o.written(cmd, "send it to the privacy CA (`tnc aik issue`)")
		},
	}
	o.add(cmd, "key.request")
	f := cmd.Flags()
	f.StringVar(&o.Handle, "aik-handle", "", "persistent handle of the attestation key (default imc-attestation.aik_handle)")
	f.StringVar(&aikCert, "aik-cert", "", "file with its certificate (default imc-attestation.aik_cert)")
	return cmd
}
