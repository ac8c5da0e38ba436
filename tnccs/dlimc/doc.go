// Package dlimc loads IMCs that are shared libraries, as /etc/tnc_config lists
// them: each in a child process by default, so that an IMC that crashes or hangs
// affects nothing else, or in this process.
//
// # Usage
//
// The child is the program itself, started again with the argument ChildArg. So
// main, and TestMain of tests, calls ChildMain before anything else:
//
//	func main() {
//		dlimc.ChildMain()
//		client, err := tnccs.NewClient(tnccs.Config{})
//		…
//		err = dlimc.AddAll(client, dlimc.DefaultTNCConfig, dlimc.Config{})
//		…
//	}
//
// Config.InProcess needs no ChildMain. A program without cgo cannot load
// libraries.
package dlimc
