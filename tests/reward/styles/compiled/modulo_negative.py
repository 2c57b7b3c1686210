def reward_function(params):
    a = params["heading"] % -90
    b = -params["steps"] // 4
    c = -params["steps"] % 7
    d = int(params["heading"] / 10) % 5
    e = divmod(params["heading"], 45)
    f = round(params["heading"]) % -3
    return a / 90 + b + c + d + e[0] + e[1] / 45 + f
