// Files that are dropped or chosen: which of them is what, before anything is sent.

import type { ClientCertificateInput } from '../api/settings.ts'
import { base64 } from './curl.ts'

export interface Chosen {
  name: string
  bytes: Uint8Array
}

/** The longest file that can be a certificate or key: the API takes no more than a megabyte, in base64. */
export const longestFile = 256 << 10

export type What = 'pfx' | 'certificate' | 'key' | 'both' | 'unknown'

export interface Sorted {
  input: Pick<ClientCertificateInput, 'pfxData' | 'certificateData' | 'keyData'>
  /** What each file is taken for, to be shown beside its name. */
  files: { name: string; what: What }[]
  /** Whether a passphrase is surely needed. */
  locked: boolean
  /** Why these files cannot be a client certificate; "" if they can. */
  problem: string
}

/** whatIs tells a file by its content; its name decides nothing. */
export function whatIs(bytes: Uint8Array): What {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, longestFile))
  const certificate = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(text)
  const key = /-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----/.test(text)
  if (certificate || key) return certificate && key ? 'both' : certificate ? 'certificate' : 'key'
  if (bytes[0] !== 0x30) return 'unknown'
  // DER: a PFX begins with version 3 (RFC 7292), a PKCS#8 key with version 0 or 1 or, encrypted, with an algorithm.
  const at = inside(bytes, 0)
  if (bytes[at] === 0x02 && bytes[at + 1] === 1) return bytes[at + 2] === 3 ? 'pfx' : 'key'
  if (bytes[at] === 0x30) {
    // A certificate's first field holds fields of its own before any algorithm; an encrypted key's is an algorithm.
    const first = bytes[inside(bytes, at)]
    return first === 0x06 ? 'key' : 'certificate'
  }
  return 'unknown'
}

/** inside is where the content of the DER element at i begins; a length that is left open (BER) has none to skip. */
function inside(bytes: Uint8Array, i: number): number {
  const n = bytes[i + 1] ?? 0
  return i + 2 + (n > 0x80 ? n & 0x7f : 0)
}

export function sort(files: Chosen[]): Sorted {
  const all = files.map((f) => ({ ...f, what: whatIs(f.bytes) }))
  const s: Sorted = { input: {}, files: all.map(({ name, what }) => ({ name, what })), locked: false, problem: '' }
  const long = all.find((f) => f.bytes.length > longestFile)
  const unknown = all.find((f) => f.what === 'unknown')
  const of = (what: What) => all.filter((f) => f.what === what)
  const [pfx, both, certs, keys] = [of('pfx'), of('both'), of('certificate'), of('key')]
  s.locked = all.some((f) => /ENCRYPTED/.test(new TextDecoder('latin1').decode(f.bytes.subarray(0, longestFile))))
  if (files.length === 0) s.problem = 'Choose a file.'
  else if (long) s.problem = `${long.name} is too long to be a certificate or key.`
  else if (unknown) s.problem = `${unknown.name} is neither PEM nor PKCS#12 nor DER: no certificate or key can be read from it.`
  else if (pfx.length === 1 && all.length === 1) s.input = { pfxData: base64(pfx[0]!.bytes) }
  else if (both.length === 1 && all.length === 1) s.input = { certificateData: base64(both[0]!.bytes) }
  else if (certs.length === 1 && keys.length === 1 && all.length === 2) s.input = { certificateData: base64(certs[0]!.bytes), keyData: base64(keys[0]!.bytes) }
  else if (certs.length === 1 && all.length === 1) s.problem = `${certs[0]!.name} has a certificate, but no private key: choose the key’s file, too.`
  else if (keys.length === 1 && all.length === 1) s.problem = `${keys[0]!.name} has a private key, but no certificate: choose the certificate’s file, too.`
  else s.problem = 'Choose one .p12 or .pfx file, one PEM file with certificate and key, or one file of each.'
  return s
}

export const whatName: Record<What, string> = {
  pfx: 'PKCS#12: certificate and key', both: 'PEM: certificate and key', certificate: 'certificate', key: 'private key', unknown: 'not recognised',
}

export async function read(files: Iterable<File>): Promise<Chosen[]> {
  return Promise.all([...files].slice(0, 4).map(async (f) => ({ name: f.name, bytes: new Uint8Array(await f.slice(0, longestFile + 1).arrayBuffer()) })))
}
