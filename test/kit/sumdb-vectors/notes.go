package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

type keyVector struct {
	Key  string `json:"key"`
	OK   bool   `json:"ok"`
	Name string `json:"name"`
	Hash uint32 `json:"hash"`
}

// noteVector: Verdict is "ok", "malformed", "unverified", "invalid signature" or "ambiguous".
type noteVector struct {
	About    string   `json:"about"`
	Note     []byte   `json:"note"`
	Keys     []string `json:"keys"`
	Verdict  string   `json:"verdict"`
	Text     []byte   `json:"text"`
	SignedBy []string `json:"signedBy"`
}

// Keys, text and signatures of the tests of golang.org/x/mod/sumdb/note (The Go Authors, BSD-style licence).
const (
	peterKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	enochKey = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
	noteText = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
	peterSig = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
	enochSig = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)

// keyOf encodes any bytes as a key with the right hash.
func keyOf(name string, key []byte) string {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%08x+%s", name, binary.BigEndian.Uint32(sum[:]), base64.StdEncoding.EncodeToString(key))
}

func testKey(name string, seed byte) (vkey, skey string) {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32)))
	vkey = keyOf(name, append([]byte{1}, private.Public().(ed25519.PublicKey)...))
	hash := strings.Split(vkey, "+")[1]
	return vkey, "PRIVATE+KEY+" + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))
}

func keyVectors() []keyVector {
	unicodeKey, _ := testKey("sum.例え.example/ü", 7)
	keys := []string{
		peterKey, enochKey, unicodeKey,
		"sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
		strings.Replace(peterKey, "c74f20a3", "C74F20A3", 1), peterKey + "\n", "\n" + peterKey, " " + peterKey, peterKey + " ", peterKey + "+",
		strings.Replace(peterKey, "+c74f20a3", "+0c74f20a3", 1), strings.Replace(peterKey, "+c74f20a3", "+74f20a3", 1),
		strings.Replace(peterKey, "+c74f20a3", "+0x4f20a3", 1), strings.Replace(peterKey, "+c74f20a3", "++74f20a3", 1),
		strings.Replace(peterKey, "+c74f20a3", "+c74f20a4", 1), strings.Replace(peterKey, "Peter", "Petra", 1),
		strings.Replace(peterKey, "PeterNeumann", "", 1), "", "+", "++", "a+b", "PeterNeumann", "PeterNeumann+c74f20a3", "PeterNeumann+c74f20a3+",
		strings.Replace(peterKey, "+ARpc", "+ARpd", 1), strings.TrimSuffix(peterKey, "W"), strings.TrimSuffix(peterKey, "0TW"),
		keyOf("x", []byte{1}), keyOf("x", make([]byte, 33)), keyOf("x", append([]byte{2}, make([]byte, 32)...)),
		keyOf("x", append([]byte{1}, make([]byte, 31)...)), keyOf("x", append([]byte{1}, make([]byte, 33)...)),
		keyOf("x", append([]byte{1}, make([]byte, 32)...)), keyOf("x y", append([]byte{1}, make([]byte, 32)...)),
		keyOf("x\u00a0y", append([]byte{1}, make([]byte, 32)...)), keyOf("x\u0085y", append([]byte{1}, make([]byte, 32)...)),
		keyOf("x\ufeffy", append([]byte{1}, make([]byte, 32)...)), keyOf("x\x01y", append([]byte{1}, make([]byte, 32)...)),
	}
	var out []keyVector
	for _, key := range keys {
		v := keyVector{Key: key}
		if verifier, err := note.NewVerifier(key); err == nil {
			v.OK, v.Name, v.Hash = true, verifier.Name(), verifier.KeyHash()
		}
		out = append(out, v)
	}
	return out
}

func noteVectors() []noteVector {
	both := []string{peterKey, enochKey}
	peter := []string{peterKey}
	good := noteText + "\n" + peterSig + enochSig
	badPeter := strings.Replace(peterSig, "x08go/ZJ", "x08go/ZK", 1)
	petra := strings.Replace(peterSig, "PeterNeumann", "PetraNeumann", 1)
	b64 := strings.Fields(peterSig)[2]
	many := func(n int) string {
		var lines strings.Builder
		for i := range n {
			raw := []byte{0, 0, byte(i >> 8), byte(i), 9}
			fmt.Fprintf(&lines, "— other %s\n", base64.StdEncoding.EncodeToString(raw))
		}
		return lines.String()
	}
	headKey, headSecret := testKey("sum.test.example", 3)
	signer, err := note.NewSigner(headSecret)
	if err != nil {
		panic(err)
	}
	head, err := note.Sign(&note.Note{Text: goodTree}, signer)
	if err != nil {
		panic(err)
	}
	twoBlocks, err := note.Sign(&note.Note{Text: goodTree + "\nexample.com/a v1.0.0 h1:" + goodHash + "\n"}, signer)
	if err != nil {
		panic(err)
	}
	line := func(name, b64 string) string { return "— " + name + " " + b64 + "\n" }
	cases := []struct {
		about string
		note  string
		keys  []string
	}{
		{"two signatures, one key known", good, peter},
		{"two signatures, both known", good, both},
		{"two signatures, the other known", good, []string{enochKey}},
		{"no key known", good, nil},
		{"only unknown keys signed", noteText + "\n" + enochSig, peter},
		{"the same signature twice", noteText + "\n" + peterSig + peterSig, peter},
		{"a second signature of one key is not looked at", noteText + "\n" + peterSig + badPeter, peter},
		{"a wrong first signature of one key", noteText + "\n" + badPeter + peterSig, peter},
		{"a wrong signature of a known key beside a right one", noteText + "\n" + enochSig + badPeter, both},
		{"a wrong signature of an unknown key", noteText + "\n" + badPeter + enochSig, []string{enochKey}},
		{"a wrong signature of an unknown key, twice", noteText + "\n" + badPeter + badPeter + enochSig, []string{enochKey}},
		{"another name with the same key hash", noteText + "\n" + petra + peterSig, peter},
		{"only another name with the same key hash", noteText + "\n" + petra, peter},
		{"the same key twice in the list", good, []string{enochKey, enochKey}},
		{"the same key twice in the list, of which nothing is signed", noteText + "\n" + peterSig, []string{peterKey, enochKey, enochKey}},
		{"signed tree head", string(head), []string{headKey}},
		{"the last empty line splits", string(twoBlocks), []string{headKey}},
		{"text altered", strings.Replace(good, "cryptography", "kryptography", 1), peter},
		{"text with one more line", "x\n" + good, peter},
		{"text with a line feed more at its end", noteText + "\n\n" + peterSig, peter},
		{"100 signature lines", noteText + "\n" + many(99) + peterSig, peter},
		{"101 signature lines", noteText + "\n" + many(100) + peterSig, peter},
		{"101 signature lines, the known first", noteText + "\n" + peterSig + many(100), peter},
		{"100 signature lines, all the same", noteText + "\n" + strings.Repeat(peterSig, 100), peter},
		{"101 signature lines, all the same", noteText + "\n" + strings.Repeat(peterSig, 101), peter},
		{"empty", "", peter},
		{"no signatures", noteText, peter},
		{"no signatures behind the empty line", noteText + "\n", peter},
		{"no empty line", noteText + peterSig, peter},
		{"no line feed at the end", strings.TrimSuffix(good, "\n"), peter},
		{"empty line at the end", good + "\n", peter},
		{"text behind the signatures", good + "stuff\n", peter},
		{"a line of text between signatures", noteText + "\n" + peterSig + "stuff\n" + enochSig, peter},
		{"empty line between signatures", noteText + "\n" + peterSig + "\n" + enochSig, both},
		{"hyphen for the dash", strings.ReplaceAll(good, "—", "-"), peter},
		{"en dash for the dash", strings.ReplaceAll(good, "—", "–"), peter},
		{"two spaces behind the dash", strings.ReplaceAll(good, "— ", "—  "), peter},
		{"two spaces behind the name", strings.ReplaceAll(good, "Neumann ", "Neumann  "), peter},
		{"no space behind the dash", strings.ReplaceAll(good, "— ", "—"), peter},
		{"a third field", noteText + "\n" + strings.TrimSuffix(peterSig, "\n") + " x\n", peter},
		{"space at the end", noteText + "\n" + strings.TrimSuffix(peterSig, "\n") + " \n", peter},
		{"no signature behind the name", noteText + "\n— PeterNeumann\n", peter},
		{"empty signature behind the name", noteText + "\n— PeterNeumann \n", peter},
		{"no name", noteText + "\n" + line("", b64), peter},
		{"name with a plus", noteText + "\n" + line("Peter+Neumann", b64), peter},
		{"name with a no-break space", noteText + "\n" + line("Peter\u00a0Neumann", b64) + peterSig, peter},
		{"name with a byte order mark", noteText + "\n" + line("Peter\ufeffNeumann", b64) + peterSig, peter},
		{"signature not base64", noteText + "\n" + line("PeterNeumann", "x08go!"+b64[6:]), peter},
		{"signature in the URL's base64", noteText + "\n" + line("PeterNeumann", strings.ReplaceAll(b64, "/", "_")), peter},
		{"signature without padding", noteText + "\n" + line("PeterNeumann", strings.TrimRight(b64, "=")), peter},
		{"signature with too much padding", noteText + "\n" + line("PeterNeumann", b64+"="), peter},
		{"signature with loose bits at the end", noteText + "\n" + line("PeterNeumann", strings.Replace(b64, "AM=", "AN=", 1)), peter},
		{"signature of the hash alone", noteText + "\n" + line("PeterNeumann", "x08gow=="), peter},
		{"signature of one byte", noteText + "\n" + line("PeterNeumann", "x08gowA="), peter},
		{"signature of one byte of an unknown key", noteText + "\n" + line("other", "x08gowA=") + peterSig, peter},
		{"malformed line of an unknown key", noteText + "\n" + peterSig + line("other", "x08g"), peter},
		{"signature cut", noteText + "\n" + line("PeterNeumann", b64[:80]), peter},
		{"signature with a byte more", noteText + "\n" + line("PeterNeumann", strings.Replace(b64, "AM=", "AMA", 1)), peter},
		{"not UTF-8", strings.Replace(good, "your", "\xffyour", 1), peter},
		{"carriage return", strings.ReplaceAll(good, "\n", "\r\n"), peter},
		{"tab", strings.Replace(good, "your", "\tyour", 1), peter},
		{"nul", good + "\x00", peter},
		{"control character in a signature line", noteText + "\n" + peterSig + "— x\x01y x08gowA=\n", peter},
		{"only signatures", "\n" + peterSig, peter},
		{"empty text", "\n\n" + peterSig, peter},
		{"empty lines only", "\n\n\n", peter},
		{"byte order mark", "\xef\xbb\xbf" + good, peter},
	}
	var out []noteVector
	for _, c := range cases {
		var verifiers []note.Verifier
		for _, key := range c.keys {
			verifier, err := note.NewVerifier(key)
			if err != nil {
				panic(err)
			}
			verifiers = append(verifiers, verifier)
		}
		v := noteVector{About: c.about, Note: []byte(c.note), Keys: c.keys, SignedBy: []string{}, Verdict: "ok"}
		if v.Keys == nil {
			v.Keys = []string{}
		}
		opened, err := note.Open(v.Note, note.VerifierList(verifiers...))
		switch err := err.(type) {
		case nil:
			v.Text = []byte(opened.Text)
			for _, signature := range opened.Sigs {
				v.SignedBy = append(v.SignedBy, signature.Name)
			}
		case *note.UnverifiedNoteError:
			v.Verdict = "unverified"
		case *note.InvalidSignatureError:
			v.Verdict = "invalid signature"
		default:
			v.Verdict = "malformed"
			if strings.HasPrefix(err.Error(), "ambiguous") {
				v.Verdict = "ambiguous"
			}
		}
		out = append(out, v)
	}
	return out
}
