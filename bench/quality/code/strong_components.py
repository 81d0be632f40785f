def strongly_connected_components(graph):
    index, low = {}, {}
    stack, on_stack = [], set()
    components = []
    counter = 0

    def visit(v):
        nonlocal counter
        index[v] = low[v] = counter
        counter += 1
        stack.append(v)
        on_stack.add(v)
        for w in graph.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on_stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            component = []
            while True:
                w = stack.pop()
                on_stack.discard(w)
                component.append(w)
                if w == v:
                    break
            components.append(component)

    for v in graph:
        if v not in index:
            visit(v)
    return components


def condense(graph):
    components = strongly_connected_components(graph)
    home = {v: i for i, component in enumerate(components) for v in component}
    edges = {i: set() for i in range(len(components))}
    for v, targets in graph.items():
        for w in targets:
            if home[v] != home[w]:
                edges[home[v]].add(home[w])
    return edges
