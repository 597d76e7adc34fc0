in vec3 v_normal;
in vec2 v_uv;
in vec3 v_world;
in vec3 v_color;
flat in float v_layer;
flat in float v_shine;
flat in vec3 v_code;
uniform sampler2DArray pictures;
uniform sampler2DShadow shadow;
uniform mat4 world_to_shadow;
uniform vec3 eye;
uniform float wetness;
layout(location = 0) out vec4 out_color;
layout(location = 1) out float out_depth;
layout(location = 2) out vec4 out_code;
layout(location = 3) out vec4 out_light;
layout(location = 4) out vec4 out_normal;
layout(location = 5) out vec4 out_paint;

void main() {
    float z = 1.0 / gl_FragCoord.w;
    vec3 n = normalize(v_normal);
    vec3 t = texture(pictures, vec3(v_uv, v_layer)).rgb;
    vec3 albedo = t * t * v_color;
    float facing = max(dot(n, sun), 0.0);
    vec3 s = (world_to_shadow * vec4(v_world + 0.05 * n, 1.0)).xyz * 0.5 + 0.5;
    bool inside = all(greaterThan(s.xy, vec2(0.002))) && all(lessThan(s.xy, vec2(0.998)));
    float sunlit = inside ? texture(shadow, vec3(s.xy, s.z - 0.0006)) : 1.0;
    vec3 direct = sun_light * (facing * sunlit);
    vec3 ambient = mix(ground_light, sky_light, n.z * 0.5 + 0.5);
    float road = v_layer == 1.0 ? wetness : 0.0;
    vec3 light = albedo * (1.0 - 0.55 * road) * (ambient + direct + lamp_light(v_world, n));
    // A loop, not a branch: software rasterisers skip an empty loop, but run both sides of a branch.
    for (int k = v_shine > 0.5 || road > 0.0 ? 1 : 0; k > 0; --k) {
        vec3 to_eye = normalize(eye - v_world);
        vec3 r = reflect(-to_eye, n);
        float grazing = 1.0 - max(dot(n, to_eye), 0.0);
        float g2 = grazing * grazing;
        float mirror = 0.05 + 0.6 * g2 * g2 * grazing;
        vec3 seen = mix(ground_light * 0.35, sky(r.z), smoothstep(-0.08, 0.12, r.z));
        float glint = pow(max(dot(r, sun), 0.0), 180.0) * sunlit;
        float amount = v_shine > 0.5 ? 1.0 : road * 0.8;
        light += amount * (seen * mirror + sun_light * glint);
        if (v_shine > 1.5) light = v_color;
    }
    vec3 seen_light = mix(haze, light, clearness(z));
    out_color = vec4(response(seen_light), 1.0);
    out_light = vec4(seen_light * exposure, 1.0);
    out_normal = vec4(n * 0.5 + 0.5, 1.0);
    out_paint = vec4(sqrt(albedo), 1.0);
    out_depth = z;
    out_code = vec4(v_code, 1.0);
}
