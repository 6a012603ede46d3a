// A PostgreSQL with TimescaleDB, in memory, on a free port of 127.0.0.1: node timescaledb.mjs FOLDER-OF-THE-PACKAGE.
// It has one session. Connections share it, each from the start of its transaction to the end.
import net from 'node:net'
import path from 'node:path'

const dist = path.resolve(process.argv[2], 'dist')
const { PGlite } = await import(path.join(dist, 'index.js'))
const { timescaledb } = await import(path.join(dist, 'timescaledb/index.js'))
const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('CREATE EXTENSION timescaledb; SET client_min_messages = warning')

const SSL_REQUEST = 80877103, GSS_REQUEST = 80877104, TERMINATE = 0x58, READY = 0x5a
let owner = null
const waiting = []

const turn = me => new Promise(go => {
  if (owner === null || owner === me) { owner = me; go() } else waiting.push([me, go])
})

const pass = () => {
  owner = null
  const next = waiting.shift()
  if (next) { owner = next[0]; next[1]() }
}

// The status of the transaction that the last ReadyForQuery tells; null where there is none.
const status = answer => {
  let found = null
  for (let at = 0; at + 5 <= answer.length; at += 1 + answer.readInt32BE(at + 1)) {
    if (answer[at] === READY) found = String.fromCharCode(answer[at + 5])
  }
  return found
}

const server = net.createServer({ noDelay: true }, socket => {
  const me = {}
  let buffer = Buffer.alloc(0), started = false, work = Promise.resolve(), state = 'I'

  const answered = async message => {
    await turn(me)
    const answer = Buffer.from(await db.execProtocolRaw(new Uint8Array(message), { syncToFs: false }))
    const told = status(answer)
    state = told ?? state
    if (told === 'I') pass()
    return answer
  }

  const next = async () => {
    for (;;) {
      const head = started ? 1 : 0
      if (buffer.length < head + 4) return
      const length = buffer.readInt32BE(head) + head
      if (buffer.length < length) return
      const message = Buffer.from(buffer.subarray(0, length))
      buffer = buffer.subarray(length)
      if (!started && [SSL_REQUEST, GSS_REQUEST].includes(message.readInt32BE(4))) { socket.write('N'); continue }
      if (started && message[0] === TERMINATE) { socket.end(); continue }
      started = true
      socket.write(await answered(message))
    }
  }

  const leave = async () => {
    if (owner !== me) return
    if (state !== 'I') await db.exec('ROLLBACK')
    pass()
  }

  socket.on('data', data => {
    buffer = Buffer.concat([buffer, data])
    work = work.then(next).catch(error => { console.error(error); socket.destroy() })
  })
  socket.on('error', () => {})
  socket.on('close', () => { work = work.then(leave).catch(error => console.error(error)) })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume()
