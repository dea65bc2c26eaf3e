// Reads .proto files (https://protobuf.dev/reference/protobuf/proto3-spec/): what is needed to name the fields of messages.
// Options, reservations and imports are passed over; several files may stand one after the other.

export interface Field {
  name: string
  number: number
  /** A scalar's name, or the full name of a message or enum; as it was written, if that is not known. */
  type: string
  kind: 'scalar' | 'message' | 'enum' | 'unknown'
  repeated: boolean
}

export interface Schema {
  /** Messages by full name, their fields by number. */
  messages: Map<string, Map<number, Field>>
  enums: Map<string, Map<number, string>>
  /** Methods by the path that gRPC calls them with, without the first slash. */
  methods: Map<string, { input: string; output: string }>
  /** Types that are named but not defined here. */
  missing: string[]
}

/** Mistake says in which line a .proto file cannot be read. */
export class Mistake extends Error {
  constructor(readonly line: number, message: string) { super(message) }
}

const scalars = new Set(['double', 'float', 'int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64', 'fixed32', 'fixed64', 'sfixed32', 'sfixed64', 'bool', 'string', 'bytes'])

/** What nearly every schema imports. */
const wellKnown = `
package google.protobuf;
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message Duration { int64 seconds = 1; int32 nanos = 2; }
message Any { string type_url = 1; bytes value = 2; }
message Empty {}
message FieldMask { repeated string paths = 1; }
message Struct { map<string, Value> fields = 1; }
message Value { NullValue null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; }
message ListValue { repeated Value values = 1; }
enum NullValue { NULL_VALUE = 0; }
message DoubleValue { double value = 1; } message FloatValue { float value = 1; }
message Int64Value { int64 value = 1; } message UInt64Value { uint64 value = 1; }
message Int32Value { int32 value = 1; } message UInt32Value { uint32 value = 1; }
message BoolValue { bool value = 1; } message StringValue { string value = 1; } message BytesValue { bytes value = 1; }
`

interface Pending { field: Field; scope: string }

/** parseProto reads .proto text. A mistake is thrown with its line. */
export function parseProto(text: string): Schema {
  const schema: Schema = { messages: new Map(), enums: new Map(), methods: new Map(), missing: [] }
  const pending: Pending[] = []
  const extensions: { name: string; scope: string; fields: Field[] }[] = []
  const methods: { path: string; input: string; output: string; scope: string }[] = []
  for (const source of [wellKnown, text]) new Parser(source, schema, pending, extensions, methods).file()
  const missing = new Set<string>()
  const find = (name: string, scope: string): string | undefined => {
    if (name.startsWith('.')) return known(schema, name.slice(1)) ? name.slice(1) : undefined
    for (let s = scope; ; s = s.slice(0, Math.max(0, s.lastIndexOf('.')))) {
      const full = s ? `${s}.${name}` : name
      if (known(schema, full)) return full
      if (!s) return undefined
    }
  }
  for (const { field, scope } of pending) {
    const full = find(field.type, scope)
    if (full === undefined) missing.add(field.type)
    else {
      field.type = full
      field.kind = schema.messages.has(full) ? 'message' : 'enum'
    }
  }
  for (const e of extensions) {
    const fields = schema.messages.get(find(e.name, e.scope) ?? '')
    for (const f of e.fields) fields?.set(f.number, f)
  }
  for (const m of methods) schema.methods.set(m.path, { input: find(m.input, m.scope) ?? m.input, output: find(m.output, m.scope) ?? m.output })
  schema.missing = [...missing]
  return schema
}

function known(schema: Schema, name: string): boolean {
  return schema.messages.has(name) || schema.enums.has(name)
}

/** typesOf lists the messages that a schema itself defines. */
export function typesOf(schema: Schema): string[] {
  return [...schema.messages.keys()].filter((n) => !n.startsWith('google.protobuf.')).sort()
}

const token = /\s+|\/\/[^\n]*|\/\*[^]*?\*\/|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\.?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|[-+]?\.?\d[\w.]*(?:[eE][-+]\d+)?|[-+{}()[\]<>=;,:/.])/y

const deepest = 64

class Parser {
  private tokens: string[] = []
  private offsets: number[] = []
  private i = 0
  private pkg = ''

  constructor(
    private readonly text: string, private readonly schema: Schema, private readonly pending: Pending[],
    private readonly extensions: { name: string; scope: string; fields: Field[] }[], private readonly methods: { path: string; input: string; output: string; scope: string }[],
  ) {
    token.lastIndex = 0
    while (token.lastIndex < text.length) {
      const at = token.lastIndex
      const m = token.exec(text)
      if (!m) throw new Mistake(this.line(at), `${JSON.stringify(text.slice(at, at + 10))} is nothing that a .proto file has here`)
      if (m[1] !== undefined) {
        this.tokens.push(m[1])
        this.offsets.push(at)
      }
    }
  }

  private line(at: number): number {
    let n = 1
    for (let i = this.text.indexOf('\n'); i >= 0 && i < at; i = this.text.indexOf('\n', i + 1)) n++
    return n
  }

  private fail(message: string): never {
    throw new Mistake(this.line(this.offsets[this.i] ?? this.text.length), message)
  }

  private peek(): string | undefined { return this.tokens[this.i] }

  private next(): string {
    const t = this.tokens[this.i]
    if (t === undefined) this.fail('the text ends too early')
    this.i++
    return t
  }

  private expect(t: string): void {
    if (this.peek() !== t) this.fail(`${JSON.stringify(t)} should stand here, not ${JSON.stringify(this.peek() ?? 'the end')}`)
    this.i++
  }

  private ident(what: string): string {
    const t = this.peek()
    if (t === undefined || !/^\.?[A-Za-z_]/.test(t)) this.fail(`${what} should stand here`)
    this.i++
    return t
  }

  private int(): number {
    const t = this.next()
    const n = t.startsWith('-') ? -Number(t.slice(1)) : /^0[0-7]+$/.test(t) ? parseInt(t, 8) : Number(t)
    if (!Number.isSafeInteger(n)) {
      this.i--
      this.fail('a whole number should stand here')
    }
    return n
  }

  /** skip passes over a statement: to its semicolon, or over its braces. */
  private skip(): void {
    for (let depth = 0; ;) {
      const t = this.next()
      if (t === '{' || t === '[' || t === '(' || t === '<') depth++
      else if (t === '}' || t === ']' || t === ')' || t === '>') depth--
      if (depth < 0) this.fail('a bracket too many')
      if (depth === 0 && (t === ';' || t === '}' && this.peek() !== ';')) return
    }
  }

  file(): void {
    while (this.peek() !== undefined) {
      const t = this.next()
      switch (t) {
        case ';': break
        case 'package': this.pkg = this.ident('a package'); this.expect(';'); break
        case 'message': this.message(this.pkg, 0); break
        case 'enum': this.enumeration(this.pkg); break
        case 'service': this.service(); break
        case 'extend': this.extend(this.pkg, 0); break
        case 'syntax': case 'edition': case 'import': case 'option': this.skip(); break
        default: this.i--; this.fail(`${JSON.stringify(t)} begins nothing that a .proto file has`)
      }
    }
  }

  private message(scope: string, depth: number): string {
    const name = join(scope, this.ident('a name'))
    this.body(name, depth)
    return name
  }

  private body(name: string, depth: number): void {
    if (depth > deepest) this.fail('messages are nested too deep')
    const fields = new Map<number, Field>()
    this.schema.messages.set(name, fields)
    this.expect('{')
    this.members(name, fields, depth)
  }

  private members(name: string, fields: Map<number, Field>, depth: number): void {
    if (depth > deepest) this.fail('messages are nested too deep')
    while (this.peek() !== '}') {
      const t = this.peek()
      // A field's type may have the name of a keyword: it is one when a name and "{" follow.
      const block = this.tokens[this.i + 2] === '{'
      if (t === ';') this.i++
      else if (t === 'message' && block) { this.i++; this.message(name, depth + 1) }
      else if (t === 'enum' && block) { this.i++; this.enumeration(name) }
      else if (t === 'extend' && block) { this.i++; this.extend(name, depth + 1) }
      else if (t === 'oneof' && block) {
        this.i += 3
        this.members(name, fields, depth + 1)
      } else if (t === 'option' || t === 'reserved' || t === 'extensions') this.skip()
      else {
        const f = this.field(name, depth)
        fields.set(f.number, f)
      }
    }
    this.expect('}')
  }

  private field(scope: string, depth: number): Field {
    let repeated = false
    const label = this.peek()
    if ((label === 'repeated' || label === 'optional' || label === 'required') && this.tokens[this.i + 2] !== '=') {
      repeated = label === 'repeated'
      this.i++
    }
    let type = this.ident('a type')
    if (type === 'map' && this.peek() === '<') return this.map(scope)
    const name = this.ident('a name')
    this.expect('=')
    const number = this.int()
    if (type === 'group') {
      const full = join(scope, name)
      if (this.peek() === '[') this.options()
      this.body(full, depth + 1)
      return { name, number, type: full, kind: 'message', repeated }
    }
    if (this.peek() === '[') this.options()
    this.expect(';')
    return this.typed({ name, number, type, kind: 'scalar', repeated }, scope)
  }

  private map(scope: string): Field {
    this.expect('<')
    const key = this.ident('a type')
    this.expect(',')
    const value = this.ident('a type')
    this.expect('>')
    const name = this.ident('a name')
    this.expect('=')
    const number = this.int()
    if (this.peek() === '[') this.options()
    this.expect(';')
    // A map is a repeated message of a key and a value.
    const entry = join(scope, `${name}.entry`)
    this.schema.messages.set(entry, new Map([
      [1, this.typed({ name: 'key', number: 1, type: key, kind: 'scalar', repeated: false }, scope)],
      [2, this.typed({ name: 'value', number: 2, type: value, kind: 'scalar', repeated: false }, scope)],
    ]))
    return { name, number, type: entry, kind: 'message', repeated: true }
  }

  private typed(f: Field, scope: string): Field {
    if (!scalars.has(f.type)) {
      f.kind = 'unknown'
      this.pending.push({ field: f, scope })
    }
    return f
  }

  private options(): void {
    let depth = 0
    do {
      const t = this.next()
      if (t === '[' || t === '{') depth++
      if (t === ']' || t === '}') depth--
    } while (depth > 0)
  }

  private extend(scope: string, depth: number): void {
    const name = this.ident('a name')
    const fields = new Map<number, Field>()
    this.expect('{')
    this.members(scope, fields, depth)
    this.extensions.push({ name, scope, fields: [...fields.values()] })
  }

  private enumeration(scope: string): void {
    const name = join(scope, this.ident('a name'))
    const values = new Map<number, string>()
    this.schema.enums.set(name, values)
    this.expect('{')
    while (this.peek() !== '}') {
      const t = this.next()
      if (t === ';') continue
      if ((t === 'option' || t === 'reserved') && this.peek() !== '=') { this.skip(); continue }
      this.expect('=')
      const n = this.int()
      if (!values.has(n)) values.set(n, t)
      if (this.peek() === '[') this.options()
      this.expect(';')
    }
    this.expect('}')
  }

  private service(): void {
    const name = join(this.pkg, this.ident('a name'))
    this.expect('{')
    while (this.peek() !== '}') {
      const t = this.next()
      if (t === ';') continue
      if (t !== 'rpc') { this.skip(); continue }
      const method = this.ident('a name')
      const input = this.streamed()
      if (this.next() !== 'returns') { this.i--; this.fail('"returns" should stand here') }
      const output = this.streamed()
      this.methods.push({ path: `${name}/${method}`, input, output, scope: name })
      if (this.peek() === '{') {
        let depth = 0
        do {
          const b = this.next()
          if (b === '{') depth++
          if (b === '}') depth--
        } while (depth > 0)
      } else this.expect(';')
    }
    this.expect('}')
  }

  private streamed(): string {
    this.expect('(')
    if (this.peek() === 'stream' && this.tokens[this.i + 1] !== ')') this.i++
    const type = this.ident('a type')
    this.expect(')')
    return type
  }
}

function join(scope: string, name: string): string {
  return scope ? `${scope}.${name}` : name
}
