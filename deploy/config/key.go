package config

import "path/filepath"

// Key says what wraps data keys: Identity, PassphraseCommand or WrapCommand.
type Key struct {
	// Identity is a file of age identities; default IdentityFile beside the TLS key, which is
	// made when a store is.
	Identity string `yaml:"identity,omitempty"`
	// Recipients is a file of age recipients whose identities open the keys as well.
	Recipients string `yaml:"recipients,omitempty"`
	// PassphraseCommand prints a passphrase, at each start.
	PassphraseCommand []string `yaml:"passphrase_command,omitempty"`
	// WrapCommand, with "wrap" or "unwrap" behind it, asks a key service or a TPM.
	WrapCommand []string `yaml:"wrap_command,omitempty"`
}

// DataKey is Data.Key, with the identity that counts where nothing is said: own says that it is
// the host's own, which the host makes.
func (s *Server) DataKey() (k Key, own bool) {
	k = s.Data.Key
	if own = k.Identity == "" && len(k.PassphraseCommand) == 0 && len(k.WrapCommand) == 0; own {
		k.Identity = filepath.Join(s.TLS, IdentityFile)
	}
	return k, own
}

// IdentityFile is the name of the host's own identity in the directory Server.TLS.
const IdentityFile = "age.key"

// Encrypts reports whether new stores are encrypted.
func (d Data) Encrypts() bool { return d.Encrypt == nil || *d.Encrypt }

func (k Key) validate(bad func(key, format string, args ...any)) {
	kinds := 0
	for _, given := range []bool{k.Identity != "", len(k.PassphraseCommand) > 0, len(k.WrapCommand) > 0} {
		if given {
			kinds++
		}
	}
	if kinds > 1 || k.Recipients != "" && len(k.PassphraseCommand)+len(k.WrapCommand) > 0 {
		bad("data.key", "want one of identity (with recipients, if any), passphrase_command and wrap_command")
	}
}
