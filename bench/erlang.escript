#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% Messages between two processes. A line of standard input is one round, "one_way SIZE COUNT" or
%% "round_trip SIZE COUNT"; the answer is the number of messages, or of round trips, a second.
-mode(compile).

%% Messages one way under way at a time: Erlang is quicker with its mailboxes short.
-define(WINDOW, 1000).

main(_) ->
    case io:get_line("") of
        eof ->
            ok;
        Line ->
            [What, Size, Count] = string:tokens(string:trim(Line), " "),
            Payload = binary:copy(<<7>>, list_to_integer(Size)),
            io:format("~f~n", [round_of(What, Payload, list_to_integer(Count))]),
            main([])
    end.

round_of("one_way", Payload, Count) ->
    Self = self(),
    Sink = spawn(fun() -> sink(Self, ?WINDOW) end),
    Windows = max(Count div ?WINDOW, 1),
    Start = erlang:monotonic_time(nanosecond),
    fill(Sink, Payload, Windows),
    Took = erlang:monotonic_time(nanosecond) - Start,
    exit(Sink, kill),
    Windows * ?WINDOW * 1.0e9 / Took;
round_of("round_trip", Payload, Count) ->
    Echo = spawn(fun echo/0),
    Start = erlang:monotonic_time(nanosecond),
    ask(Echo, Payload, Count),
    Took = erlang:monotonic_time(nanosecond) - Start,
    exit(Echo, kill),
    Count * 1.0e9 / Took.

sink(Parent, 0) ->
    Parent ! filled,
    sink(Parent, ?WINDOW);
sink(Parent, Left) ->
    receive
        Bytes when is_binary(Bytes) -> sink(Parent, Left - 1)
    end.

fill(_, _, 0) ->
    ok;
fill(Sink, Payload, Windows) ->
    send(Sink, Payload, ?WINDOW),
    receive
        filled -> fill(Sink, Payload, Windows - 1)
    end.

send(_, _, 0) ->
    ok;
send(Sink, Payload, Left) ->
    Sink ! Payload,
    send(Sink, Payload, Left - 1).

echo() ->
    receive
        {From, Payload} ->
            From ! Payload,
            echo()
    end.

ask(_, _, 0) ->
    ok;
ask(Echo, Payload, Left) ->
    Echo ! {self(), Payload},
    receive
        Payload -> ask(Echo, Payload, Left - 1)
    end.
