// What the worker is asked and what it answers.

import type { Nature } from './content.ts'
import type { Conversion } from './convert.ts'
import type { Decoded } from './jsonout.ts'
import type { Lines, Scanner } from './lines.ts'

export interface Scanned {
  bytes: Uint8Array<ArrayBuffer>
  lines: Lines
}

export interface Readable extends Scanned {
  kind: Scanner
  /** Not all of it was converted. */
  cut: boolean
  broken: Decoded['broken']
}

/** A body as far as it was read. Text is in UTF-8. */
export interface Loaded {
  bytes: Uint8Array<ArrayBuffer>
  /** The size as it is kept or decoded; -1 while nobody knows it. */
  total: number
  nature: Nature
  /** Where the bytes stop being UTF-8, -1 if they do not. */
  invalid: number
  /** The bytes are not those of the body but its text in UTF-8. */
  transcoded: boolean
  /** Where and why decoding came to its end too early. */
  broken: string | undefined
  kind?: Scanner | undefined
  lines?: Lines | undefined
}

export type Job =
  | { task: 'scan'; kind: Scanner; bytes: Uint8Array<ArrayBuffer> }
  | { task: 'convert'; bytes: Uint8Array<ArrayBuffer>; conversion: Conversion }
  | { task: 'load'; path: string; limit: number; type: string }

export type Result = Scanned | Readable | Loaded | { progress: number } | { problem: string }
