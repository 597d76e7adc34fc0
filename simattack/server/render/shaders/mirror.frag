// What wet ground mirrors of the picture itself, premultiplied, at half the picture's size. Water lies flat: the ray from the
// eye goes on upwards until it meets what the depth buffer shows.
in vec3 v_ray;
uniform sampler2D shown;
uniform sampler2D depth;
uniform sampler2D code;
uniform sampler2DArray pictures;
uniform mat4 world_to_clip;
uniform vec3 eye;
uniform vec3 forward;
uniform vec2 pixels;
uniform float wetness;
uniform float water;  // how much of the ground lies under puddles
layout(location = 0) out vec4 out_color;

const int STEPS = 10;

void main() {
    vec2 here = gl_FragCoord.xy / pixels;
    float tag = texture(code, here).r * 255.0;
    float z = texture(depth, here).r;
    bool is_road = abs(tag - 1.0) < 0.5 || abs(tag - 24.0) < 0.5;
    bool is_wet = (is_road || abs(tag - 2.0) < 0.5) && z < 90.0;
    vec3 ray = v_ray / dot(v_ray, forward);
    vec3 at = eye + ray * z;
    vec3 d = normalize(ray);
    vec3 found = vec3(0.0);
    float amount = 0.0;
    for (int once = is_wet ? 1 : 0; once > 0; --once) {
        float lump = texture(pictures, vec3(at.xy * 0.045, 5.0)).r;
        float grain = texture(pictures, vec3(at.xy * 0.9, 1.0)).r - 0.4;
        float puddle = smoothstep(0.62 - 0.35 * water, 0.68 - 0.35 * water, lump) * float(is_road);
        vec3 r = vec3(d.xy, -d.z);
        // Away from puddles the grain of the road tears the mirror image into streaks.
        r.z *= 1.0 + grain * 1.6 * (1.0 - puddle);
        r = normalize(r);
        float g = 1.0 + min(d.z, 0.0);
        float mirror = 0.05 + 0.75 * g * g * g * g;
        amount = wetness * mirror * (is_road ? mix(0.7, 1.0, puddle) : 0.35);
        found = response(mix(sky(r.z), haze, 1.0 - clearness(120.0)));
        float far = 0.3;
        for (int k = 0; k < STEPS; ++k) {
            float step = far * 0.62;
            far += step;
            vec3 p = at + r * far;
            vec4 clip = world_to_clip * vec4(p, 1.0);
            vec2 uv = clip.xy / clip.w * 0.5 + 0.5;
            if (clip.w < 0.2 || uv.x < 0.0 || uv.x > 1.0 || uv.y < 0.0 || uv.y > 1.0) break;
            float there = texture(depth, uv).r;
            if (there < clip.w && there > clip.w - 1.3 * step - 0.5) {
                found = texture(shown, uv).rgb;
                break;
            }
        }
        amount *= clearness(z);
    }
    out_color = vec4(found * amount, amount);
}
