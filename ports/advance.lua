#!lua name=modelwatch

-- ports/advance.lua: one step of a fold, all of it or nothing. Loaded by store_install(), called by
-- store_redis.c.
--
-- Redis does not roll back: a command that fails in the middle leaves the writes before it. So
-- everything is checked before the first write, and then no write can fail:
--   * Memory, disk, replicas, role: Redis 7 judges them when the function starts, and no more once
--     the function has written.
--   * Rights: acl_check_cmd() is asked for every command with every key.
--   * Types: every key has the type that its commands need, or is absent. Nothing expires or
--     changes while a function runs: time stands still for keys, and nobody else has a turn.
--   * Numbers: all have the form and range that the commands demand; those of a stream only grow.
--   * Sizes: the caller sends at most 256 MiB, a quarter of what one stream entry may have; batches
--     stay below the 8000 values that unpack() can return.
--
-- KEYS: head, outbox, tables... All have one hash tag.
-- ARGV: previous token ("" = there is none), next token, epoch, the number of outputs,
--       topic, key, value, headers of each output,
--       then operations: kind, number of its table, number of its arguments, the arguments.
-- Answer: OK; ALREADY: this very step was stored before; STALE: another token is stored; REFUSED
-- and why: nothing was stored, and never will be.

-- Raise it with every change of what this file does: programs compare it with theirs.
local VERSION = '2'

local BATCH = 2000 -- arguments of one command; even: fields and their data go together
local NUMBER_MAX = '18446744073709551615' -- of a stream entry: 2^64 - 1
local COUNTED_MAX = '9000000000000000'    -- Lua counts exactly up to 2^53

-- Lua's numbers are exact only up to 2^53, so the numbers of streams stay texts: decimal, without
-- leading zeros.
local function is_less(left, right)
    return #left < #right or (#left == #right and left < right)
end

local function is_number(text)
    return text == '0' or text:find('^[1-9]%d*$') ~= nil
end

-- The number of the newest entry that the stream ever had.
local function last_number(key)
    local facts = redis.call('XINFO', 'STREAM', key)
    for i = 1, #facts, 2 do
        if facts[i] == 'last-generated-id' then
            return facts[i + 1]:match('^%d+')
        end
    end
end

local function number_problem(what, text)
    if not is_number(text) or is_less(NUMBER_MAX, text) then
        return what .. ' ' .. text .. ': expected a whole number below 2^64'
    end
end

local function in_batches(command, key, args, from, to)
    for first = from, to, BATCH do
        redis.call(command, key, unpack(args, first, math.min(first + BATCH - 1, to)))
    end
end

-- check: what is wrong with the arguments from..to, or nothing.
-- size: the arguments come in groups of so many.
local kinds = {
    put = { -- field, data
        command = 'HSET', type = 'hash', size = 2,
        check = function() end,
        write = function(key, args, from, to) in_batches('HSET', key, args, from, to) end,
    },
    drop = { -- field
        command = 'HDEL', type = 'hash', size = 1,
        check = function() end,
        write = function(key, args, from, to) in_batches('HDEL', key, args, from, to) end,
    },
    append = { -- number, how many entries to keep (0 = all), data
        command = 'XADD', type = 'stream', size = 3,
        check = function(table, args, from, to)
            for i = from, to, 3 do
                local number, keep = args[i], args[i + 1]
                local problem = number_problem('entry number', number)
                if problem then
                    return problem
                elseif not is_less(table.last, number) then
                    return 'entry number ' .. number .. ': expected one above ' .. table.last
                elseif not is_number(keep) or #keep > 15 then
                    return 'keep ' .. keep .. ': expected a whole number below 10^15'
                end
                table.last = number
            end
        end,
        write = function(key, args, from, to)
            for i = from, to, 3 do
                local id, keep, data = args[i] .. '-0', args[i + 1], args[i + 2]
                if keep == '0' then
                    redis.call('XADD', key, id, 'data', data)
                else
                    redis.call('XADD', key, 'MAXLEN', '=', keep, id, 'data', data)
                end
            end
        end,
    },
    trim = { -- number of the first entry that stays
        command = 'XTRIM', type = 'stream', size = 1,
        check = function(_, args, from, to)
            for i = from, to do
                local problem = number_problem('trim below', args[i])
                if problem then
                    return problem
                end
            end
        end,
        write = function(key, args, from, to)
            for i = from, to do
                redis.call('XTRIM', key, 'MINID', '=', args[i] .. '-0')
            end
        end,
    },
    expire = { -- seconds from now
        command = 'EXPIRE', size = 1,
        check = function(_, args, from, to)
            for i = from, to do
                if not is_number(args[i]) or args[i] == '0' or #args[i] > 12 then
                    return 'time to live ' .. args[i] .. ': expected whole seconds from 1'
                end
            end
        end,
        write = function(key, args, _, to) redis.call('EXPIRE', key, args[to]) end,
    },
}

-- What is known of a key, and the type that it is going to have.
local function look_at(key)
    local table = { type = redis.call('TYPE', key).ok, last = '0' }
    if table.type == 'stream' then
        table.last = last_number(key)
    end
    return table
end

local function check_operation(operation, key, table, args)
    local kind = operation.kind
    if not redis.acl_check_cmd(kind.command, key) then
        return 'the ACL does not allow ' .. kind.command .. ' on it'
    end
    if kind.type then
        if table.type ~= 'none' and table.type ~= kind.type then
            return 'it is a ' .. table.type .. ', expected a ' .. kind.type
        end
        table.type = kind.type
    end
    return kind.check(table, args, operation.from, operation.to)
end

-- The operations as a list, or nil and what is wrong with them.
local function read_operations(keys, args, at)
    local operations, tables = {}, {}
    while at <= #args do
        local kind, number, count = kinds[args[at]], tonumber(args[at + 1]), tonumber(args[at + 2])
        local key = number and number >= 1 and keys[number + 2]
        if not kind or not key or not count or count < 1 or count % kind.size ~= 0
            or at + 2 + count > #args then
            return nil, 'operation at argument ' .. at .. ' is malformed'
        end
        local operation = { kind = kind, key = key, from = at + 3, to = at + 2 + count }
        tables[key] = tables[key] or look_at(key)
        local problem = check_operation(operation, key, tables[key], args)
        if problem then
            return nil, key .. ': ' .. problem
        end
        operations[#operations + 1] = operation
        at = operation.to + 1
    end
    return operations
end

-- What forbids the outputs or the head, or nothing; else the last number of the outbox.
local function check_own_keys(head, outbox, outputs)
    if not redis.acl_check_cmd('HSET', head) then
        return head .. ': the ACL does not allow HSET on it'
    end
    if outputs == 0 then
        return nil
    end
    local state = look_at(outbox)
    if state.type ~= 'none' and state.type ~= 'stream' then
        return outbox .. ': it is a ' .. state.type .. ', expected a stream'
    elseif not is_less(state.last, COUNTED_MAX) then
        return outbox .. ': its numbers are used up'
    elseif not redis.acl_check_cmd('XADD', outbox) then
        return outbox .. ': the ACL does not allow XADD on it'
    end
    return nil, tonumber(state.last)
end

-- Outputs are dropped by id, after they were written, by a process that may not know yet that Redis
-- went back in time. So an id is never given twice, not even after that: it carries a part of the
-- token, which is random and of one step.
local function add_outputs(outbox, last, token, args, to)
    local part = tonumber(token:sub(1, 8), 16) or 0
    for i = 5, to, 4 do
        last = last + 1
        redis.call('XADD', outbox, string.format('%.0f-%.0f', last, part),
            'topic', args[i], 'key', args[i + 1], 'value', args[i + 2], 'headers', args[i + 3])
    end
end

local function advance(keys, args)
    local head, outbox = keys[1], keys[2]
    local previous, next_token, epoch = args[1], args[2], args[3]
    local outputs = tonumber(args[4]) or -1

    local stored = redis.call('HMGET', head, 'token', 'epoch')
    if stored[1] == next_token then
        return 'ALREADY'
    elseif (stored[1] or '') ~= previous or (stored[1] and stored[2] ~= epoch) then
        return 'STALE'
    end

    local first = 5 + 4 * outputs
    if outputs < 0 or outputs % 1 ~= 0 or first - 1 > #args then
        return 'REFUSED outputs are malformed'
    end
    local problem, last = check_own_keys(head, outbox, outputs)
    if problem then
        return 'REFUSED ' .. problem
    end
    local operations, mistake = read_operations(keys, args, first)
    if not operations then
        return 'REFUSED ' .. mistake
    end

    for _, operation in ipairs(operations) do
        operation.kind.write(operation.key, args, operation.from, operation.to)
    end
    add_outputs(outbox, last, next_token, args, first - 1)
    redis.call('HSET', head, 'token', next_token, 'epoch', epoch)
    return 'OK'
end

redis.register_function('modelwatch_advance', advance)
redis.register_function{
    function_name = 'modelwatch_version',
    callback = function() return VERSION end,
    flags = { 'no-writes' },
}
